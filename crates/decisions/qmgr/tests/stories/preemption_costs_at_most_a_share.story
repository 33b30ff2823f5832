# A stream of small mail slows a large job by one slot for each delivery_slot_cost of its own entries, no more: the mailing is
# not starved.
show finish
process smtp 1
set smtp_destination_recipient_limit 1
t=0 arrive BIG x50 to=x
t=5.5 arrive S*40 to=y
until 200
---
t=7 S01 removed
t=8 S02 removed
t=14 S03 removed
t=20 S04 removed
t=26 S05 removed
t=32 S06 removed
t=38 S07 removed
t=44 S08 removed
t=50 S09 removed
t=56 S10 removed
t=60 BIG removed
t=61 S11 removed
t=62 S12 removed
t=63 S13 removed
t=64 S14 removed
t=65 S15 removed
t=66 S16 removed
t=67 S17 removed
t=68 S18 removed
t=69 S19 removed
t=70 S20 removed
t=71 S21 removed
t=72 S22 removed
t=73 S23 removed
t=74 S24 removed
t=75 S25 removed
t=76 S26 removed
t=77 S27 removed
t=78 S28 removed
t=79 S29 removed
t=80 S30 removed
t=81 S31 removed
t=82 S32 removed
t=83 S33 removed
t=84 S34 removed
t=85 S35 removed
t=86 S36 removed
t=87 S37 removed
t=88 S38 removed
t=89 S39 removed
t=90 S40 removed
