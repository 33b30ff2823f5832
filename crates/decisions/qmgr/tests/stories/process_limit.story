# No more deliveries at once than the service may have processes.
show finish
process smtp 3
t=0 arrive A x600 to=a,b,c,d,e,f
peak smtp:
---
t=4 A removed
peak smtp: 3
