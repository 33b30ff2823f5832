# make test   installs what the tests need (when run by root) and runs them all
# make ci     what .ci/run runs
# make build  the programs, optimised
# make bench  speed and memory beside Postfix

# Debian packages that tests use: the reference itself, clients, a log reader, and the servers behind lookup tables.
PACKAGES = iproute2 postfix postfix-pcre postfix-lmdb postfix-cdb postfix-sqlite postfix-pgsql postfix-mysql postfix-ldap sqlite3 \
	postgresql mariadb-server slapd libsasl2-modules memcached redis-server haproxy postgrey postfix-policyd-spf-perl postfix-policyd-spf-python swaks s-nail curl openssl pflogsumm libpcre2-dev pkg-config

# Built whole, the simulator's tests run two to three times as fast as built in small pieces.
test ci: export CARGO_INCREMENTAL = 0

.PHONY: build test prepare fmt clippy tidy ci bench

build:
	cargo build --release -p posthaste -p posthaste-agent -p postdrop

# The Debian packages are for tests only; their Postfix is never started as the system's own.
prepare:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		missing=$$(for p in $(PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || echo $$p; done); \
		if [ -n "$$missing" ]; then \
			[ -e /usr/sbin/policy-rc.d ] || { printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d && trap 'rm -f /usr/sbin/policy-rc.d' EXIT; }; \
			apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing; \
		fi; \
	fi

test: prepare
	cargo build --workspace --bins
	@if cargo nextest --version >/dev/null 2>&1; then cargo nextest run --workspace --no-fail-fast; else cargo test --workspace --no-fail-fast; fi

fmt:
	cargo fmt --all --check

clippy:
	cargo clippy --workspace --all-targets -- -D warnings

tidy:
	cargo xtask tidy

ci: fmt clippy tidy test

# Beside Debian's Postfix, as root; about ten minutes. bench/RESULTS.md keeps what was measured.
bench: build
	rm -f bench/results.jsonl
	cd bench && POSTHASTE_BIN="$(CURDIR)/target/release/posthaste" BENCH_RESULTS=results.jsonl \
		./run -s inbound-discard:s20,relay:s20,idle-connections:2000 -p postfix,posthaste -n 3
	cd bench && ./compare results.jsonl
