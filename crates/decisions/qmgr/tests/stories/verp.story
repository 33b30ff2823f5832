# With VERP each recipient goes alone, with a sender that names it, and is returned alone. A bad wish is none. VERP_README
set maximal_queue_lifetime 2000s
show deliver finish warning
t=0 site bad refuse
t=0 arrive A x3 to=x,bad from=list@here
t=0 verp A +=
t=10 arrive B x2 to=x from=list@here
t=10 verp B +
t=20 arrive C x2 to=x from=
t=20 verp C +=
t=30 arrive D x2 to=y from=list@here
t=30 site y later
t=30 verp D -=
t=31 warn D 100
until 4000
---
t=0 A to bad x1 from list+u1=bad@here
t=0 A to x x1 from list+u0=x@here
t=0 A to x x1 from list+u2=x@here
t=1 A Failure notice x1, one each
t=1 A removed
t=10 warning: B: ignoring bad VERP request: "+"
t=10 B to x x2
t=11 B removed
t=20 warning: C: ignoring VERP request for null sender
t=20 C to x x2
t=21 C removed
t=30 D to y x1 from list-u0=y@here
t=30 D to y x1 from list-u1=y@here
t=31 D deferred for 300s
t=600 D to y x1 from list-u0=y@here
t=600 D to y x1 from list-u1=y@here
t=601 D Delay notice x2
t=601 D deferred for 571s
t=1200 D to y x1 from list-u0=y@here
t=1200 D to y x1 from list-u1=y@here
t=1201 D deferred for 1171s
t=2400 D to y x1 from list-u0=y@here
t=2400 D to y x1 from list-u1=y@here
t=2401 D Expired notice x2, one each
t=2401 D removed
