"""Shared parts of the MTA benchmark harness. Python 3.9+, no third-party modules."""
import json, mmap, os, re, shutil, signal, socket, struct, subprocess, sys, threading, time

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WORK = os.environ.get("BENCH_WORK", "/var/tmp/mta-bench")          # must be a real disk
RESULTS = os.environ.get("BENCH_RESULTS", "results.jsonl")
CG2 = next((p for p in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup")
            if os.path.exists(p + "/cgroup.procs") and os.path.exists(p + "/cgroup.controllers")), None)
TICK = os.sysconf("SC_CLK_TCK")
MiB = 1 << 20


def find_tool(name):
    for d in os.environ.get("BENCH_GEN_DIR", "/usr/sbin").split(":") + \
            ["/usr/sbin", "/usr/bin"]:
        if os.access(os.path.join(d, name), os.X_OK):
            return os.path.join(d, name)
    raise SystemExit("missing tool " + name)


def tool(name):                     # our own C tools
    p = os.path.join(HERE, "tools", name)
    if not os.path.exists(p):
        subprocess.check_call(["make", "-s", "-C", os.path.join(HERE, "tools")])
    return p


class Cgroup:
    """A cgroup-v2 group: exact CPU of all processes ever in it, plus memory sampling."""

    def __init__(self, name):
        self.path = os.path.join(CG2, "mtabench." + name)
        os.makedirs(self.path, exist_ok=True)

    def enter(self):                # use as preexec_fn
        with open(self.path + "/cgroup.procs", "w") as f:
            f.write("0")

    def pids(self):
        try:
            with open(self.path + "/cgroup.procs") as f:
                return [int(x) for x in f.read().split()]
        except FileNotFoundError:
            return []

    def cpu(self):                  # (user, system) seconds
        d = dict(l.split() for l in open(self.path + "/cpu.stat"))
        return int(d["user_usec"]) / 1e6, int(d["system_usec"]) / 1e6

    def memory(self):               # (pss, rss, processes) in bytes
        pss = rss = n = 0
        for p in self.pids():
            try:
                with open("/proc/%d/smaps_rollup" % p) as f:
                    for l in f:
                        if l.startswith("Pss:"):
                            pss += int(l.split()[1]) << 10
                        elif l.startswith("Rss:"):
                            rss += int(l.split()[1]) << 10
                n += 1
            except OSError:
                pass
        return pss, rss, n

    def remove(self):
        """End what is left in the group (only processes we started can be in it)."""
        for sig, wait in ((signal.SIGTERM, 2), (signal.SIGKILL, 2)):
            for p in self.pids():
                try:
                    os.kill(p, sig)
                except ProcessLookupError:
                    pass
            end = time.time() + wait
            while self.pids() and time.time() < end:
                time.sleep(0.05)
            if not self.pids():
                break
        try:
            os.rmdir(self.path)
        except OSError:
            pass


class Sampler(threading.Thread):
    """Peak PSS/RSS of a cgroup; keeps its own cost under about 4 % of one core."""

    def __init__(self, cg):
        super().__init__(daemon=True)
        self.cg, self.quit = cg, threading.Event()
        self.pss = self.rss = self.procs = 0

    def run(self):
        while not self.quit.is_set():
            t = time.thread_time()
            p, r, n = self.cg.memory()
            self.pss, self.rss, self.procs = max(self.pss, p), max(self.rss, r), max(self.procs, n)
            self.quit.wait(max(0.5, 25 * (time.thread_time() - t)))


class Sink:
    """Our counting SMTP sink; counters are read from a shared page."""
    FIELDS = ("sess", "mesg", "rcpt", "bytes", "maxconn")

    def __init__(self, port, naddr=0):
        path = "/dev/shm/mtabench.sink.%d" % port
        self.cg = Cgroup("sink")
        self.p = subprocess.Popen([tool("sink"), str(port), path, str(naddr)], preexec_fn=self.cg.enter)
        wait_banner(port, 5)
        self.m = mmap.mmap(os.open(path, os.O_RDONLY), 4096, prot=mmap.PROT_READ)
        self.path = path

    def __getattr__(self, k):
        if k in Sink.FIELDS:
            return struct.unpack_from("<Q", self.m, 8 * Sink.FIELDS.index(k))[0]
        raise AttributeError(k)

    def wait(self, field, want, limit):
        end = time.monotonic() + limit
        while getattr(self, field) < want:
            if time.monotonic() > end:
                return False
            time.sleep(0.004)
        return True

    def close(self):
        self.p.terminate()
        self.p.wait()
        os.unlink(self.path)


def wait_banner(port, limit, host="127.0.0.1"):
    """Seconds until a 220 banner is read from the port."""
    t0 = time.monotonic()
    while time.monotonic() - t0 < limit:
        try:
            with socket.create_connection((host, port), 2) as s:
                s.settimeout(max(0.1, limit - (time.monotonic() - t0)))
                if s.recv(512).startswith(b"220"):
                    s.sendall(b"QUIT\r\n")
                    s.recv(512)
                    return time.monotonic() - t0
        except OSError:
            pass
        time.sleep(0.01)
    raise RuntimeError("no banner on port %d within %ss" % (port, limit))


class LogCount:
    """Counts a literal in a growing log file (cheap, works for every MTA)."""

    def __init__(self, path, literal):
        self.path, self.lit = path, literal.encode()
        self.pos, self.count, self.rest = 0, 0, b""
        if os.path.exists(path):
            self.pos = os.path.getsize(path)

    def poll(self):
        try:
            with open(self.path, "rb") as f:
                f.seek(self.pos)
                b = f.read()
        except FileNotFoundError:
            return self.count
        self.pos += len(b)
        b = self.rest + b
        cut = b.rfind(b"\n") + 1
        self.count += b.count(self.lit, 0, cut)
        self.rest = b[cut:]
        return self.count

    def wait(self, want, limit):
        end = time.monotonic() + limit
        while self.poll() < want:
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True


class SUT:
    """One system under test, driven through adapters/NAME.sh (see adapters/README)."""

    def __init__(self, name, port=2525, sink=2626, closed=2627, maxconn=200, settings="", resolver=None):
        """settings: lines that are added to main.cf ("$C" is the configuration directory); resolver: an address with a name
        server on port 53 that is the system's only one."""
        self.name, self.port, self.sink_port = name, port, sink
        self.settings, self.resolver = settings, resolver
        self.dir = os.path.join(WORK, name)
        self.adapter = os.path.join(HERE, "adapters", name + ".sh")
        self.env = dict(os.environ, B_DIR=self.dir, B_PORT=str(port), B_SINK=str(sink),
                        B_CLOSED=str(closed), B_MAXCONN=str(maxconn), B_HERE=HERE)
        self.cg = None

    def call(self, *args, check=True, cg=False, **kw):
        kw.setdefault("stdout", subprocess.PIPE)
        kw.setdefault("stderr", subprocess.STDOUT)
        words = ["bash", self.adapter, *args]
        if self.resolver and args[0] == "start":        # all of the system sees this resolv.conf, and nobody else does
            words = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', self.dir + "/resolv.conf", *words]
        r = subprocess.run(words, env=self.env, text=True, timeout=600,
                           stdin=kw.pop("stdin", subprocess.DEVNULL),
                           preexec_fn=self.cg.enter if cg else None, **kw)
        if check and r.returncode:
            raise RuntimeError("%s %s: rc %d: %s" % (self.name, args[0], r.returncode, (r.stdout or "")[-800:]))
        return (r.stdout or "").strip()

    def info(self):
        return dict(l.split("=", 1) for l in self.call("info").splitlines() if "=" in l)

    def fresh(self):
        shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.dir)
        self.call("prepare")
        with open(self.dir + "/etc/main.cf", "a") as f:
            f.write(self.settings.replace("$C", self.dir + "/etc"))
        if self.resolver:
            with open(self.dir + "/resolv.conf", "w") as f:
                f.write("nameserver %s\n" % self.resolver)

    def start(self, limit=25):
        self.cg = Cgroup("sut." + self.name)
        with open(self.dir + "/start.out", "ab") as out:
            t0 = time.monotonic()
            self.call("start", cg=True, stdout=out, stderr=out)
            wait_banner(self.port, limit)
            return time.monotonic() - t0

    def stop(self):
        try:
            self.call("stop", check=False, cg=True)
            end = time.monotonic() + 10
            while self.cg and self.cg.pids() and time.monotonic() < end:
                time.sleep(0.05)
        finally:
            if self.cg:
                self.cg.remove()
            end = time.monotonic() + 5
            while time.monotonic() < end:               # port free again?
                try:
                    socket.create_connection(("127.0.0.1", self.port), 1).close()
                    time.sleep(0.1)
                except OSError:
                    break

    def done_log(self):
        i = self.info()
        return LogCount(i["LOG"], i["DONE"])

    def queued(self):
        try:
            return int(self.call("queue").split()[-1])
        except (ValueError, IndexError):
            return -1

    def drained(self, limit=10):
        """Messages still in the queue after a grace period (0 is what a run must end with)."""
        end = time.monotonic() + limit
        while self.queued() > 0 and time.monotonic() < end:
            time.sleep(0.5)
        return self.queued()

    def __enter__(self):
        self.fresh()
        self.start()
        return self

    def __exit__(self, *a):
        self.stop()
        if not os.environ.get("BENCH_KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)


class NameServer:
    """Debian's unbound with zones of our own, in a control group of its own, so that its CPU is not charged to the system."""

    def __init__(self, address, zones):
        self.cg = Cgroup("names")
        conf = os.path.join(WORK, "unbound.conf")
        os.makedirs(WORK, exist_ok=True)
        with open(conf, "w") as f:
            f.write("server:\n do-daemonize: no\n chroot: \"\"\n username: \"\"\n pidfile: \"\"\n use-syslog: no\n directory: \"%s\"\n interface: %s\n"
                    " access-control: 127.0.0.0/8 allow\n module-config: iterator\n" % (WORK, address))
            for zone in zones:
                f.write(' local-zone: "%s." static\n local-data: "%s. 3600 SOA ns.%s. root.%s. 1 3600 3600 3600 3600"\n' % ((zone,) * 4))
        self.p = subprocess.Popen([find_tool("unbound"), "-d", "-c", conf], preexec_fn=self.cg.enter,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.wait(address, zones[0], 10)

    @staticmethod
    def wait(address, zone, limit):
        query = struct.pack(">6H", 7, 256, 1, 0, 0, 0) + b"".join(bytes([len(x)]) + x.encode() for x in zone.split(".")) + b"\0" + struct.pack(">2H", 6, 1)
        end = time.monotonic() + limit
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.2)
            while time.monotonic() < end:
                try:
                    s.sendto(query, (address, 53))
                    if s.recv(512)[:2] == query[:2]:
                        return
                except OSError:
                    time.sleep(0.05)
        raise RuntimeError("no name server at %s" % address)

    def __enter__(self):
        return self

    def __exit__(self, *a):
        self.p.terminate()
        self.p.wait()
        self.cg.remove()


class Meter:
    """CPU and memory of the SUT (and CPU of the generator and sink) over a with-block."""

    def __init__(self, sut, gen):
        self.sut, self.gen = sut, gen

    def __enter__(self):
        os.sync()
        self.c0, self.g0 = self.sut.cg.cpu(), self.gen.cpu()
        self.load0 = proc_stat()
        self.s = Sampler(self.sut.cg)
        self.s.start()
        self.t0 = time.monotonic()
        return self

    def __exit__(self, *a):
        self.secs = time.monotonic() - self.t0
        c1, g1, l1 = self.sut.cg.cpu(), self.gen.cpu(), proc_stat()
        self.s.quit.set()
        self.s.join()
        self.user, self.sys = c1[0] - self.c0[0], c1[1] - self.c0[1]
        self.gencpu = sum(g1) - sum(self.g0)
        busy, idle, iowait, steal = (b - a for a, b in zip(self.load0, l1))
        tot = (busy + idle + iowait) or 1
        self.machine = dict(busy=round(busy / tot, 3), iowait=round(iowait / tot, 3), steal=round(steal / tot, 3))

    def numbers(self, n):
        return dict(cpu_s=round(self.user + self.sys, 3), cpu_user_s=round(self.user, 3), cpu_sys_s=round(self.sys, 3),
                    cpu_ms_per_msg=round(1000 * (self.user + self.sys) / n, 4), gen_cpu_s=round(self.gencpu, 3),
                    peak_pss_mib=round(self.s.pss / MiB, 1), peak_rss_mib=round(self.s.rss / MiB, 1),
                    peak_procs=self.s.procs, machine=self.machine)


def proc_stat():
    f = [int(x) for x in open("/proc/stat").readline().split()[1:]]
    return f[0] + f[1] + f[2] + f[5] + f[6] + f[7], f[3], f[4], f[7]


class Gen:
    """smtp-source runs, in their own cgroup so that their CPU is known and not charged to the SUT."""

    def __init__(self):
        self.cg = Cgroup("gen")
        self.cpu = self.cg.cpu

    def source(self, port, n, sessions, size, rcpt, extra=()):
        return subprocess.Popen([find_tool("smtp-source"), "-4", "-C", "20", "-s", str(sessions), "-l", str(size), "-m", str(n),
                                 "-M", "client.example", "-f", "sender@client.example", "-t", rcpt, *extra,
                                 "127.0.0.1:%d" % port], preexec_fn=self.cg.enter,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    @staticmethod
    def wait(procs, limit):
        end = time.monotonic() + limit
        for p in procs:
            try:
                out = p.communicate(timeout=max(1, end - time.monotonic()))[0]
            except subprocess.TimeoutExpired:
                for q in procs:
                    q.kill()
                raise RuntimeError("generator ran past %ss" % limit)
            if p.returncode:
                raise RuntimeError("generator failed: " + out.decode(errors="replace")[-300:])



def emit(rec):
    rec = dict(rec, time=time.strftime("%Y-%m-%dT%H:%M:%S"), load1=os.getloadavg()[0])
    line = json.dumps(rec)
    print(line, flush=True)
    with open(RESULTS, "a") as f:
        f.write(line + "\n")
