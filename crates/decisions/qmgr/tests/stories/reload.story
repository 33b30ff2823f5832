# At a reload deliveries under way are finished by the old generation; whatever waits, the rest of the same message
# included, is for the new one at once. (The old one is played to its end before the new one begins.)
show deliver finish
set initial_destination_concurrency 1
set default_destination_recipient_limit 2
t=0 site x ok 100
t=0 arrive A x5 to=x
t=0 arrive B to=x
t=5 reload
t=5 arrive C to=y
until 700
---
t=0 A to x x2
t=5 B given back
t=100 A given back
t=5 C to y x1
t=6 C removed
t=100 A to x x2
t=200 A to x x1
t=200 B to x x1
t=300 A removed
t=300 B removed
