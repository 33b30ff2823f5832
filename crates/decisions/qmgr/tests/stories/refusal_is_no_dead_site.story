# Refused or deferred recipients say nothing against the site: its other mail goes on, and its concurrency grows.
show finish
set default_destination_recipient_limit 2
t=0 site x later
t=0 arrive A x40 to=x
peak smtp:x
until 100
---
t=3 A deferred for 300s
peak smtp:x 12
