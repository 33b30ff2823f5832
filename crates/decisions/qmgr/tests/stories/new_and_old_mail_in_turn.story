# A backlog of old mail does not keep new mail out, nor the other way round: they enter the active queue in turn, as soon
# as both are known (the first four files are opened before the other queue was looked at).
show deliver
set default_destination_concurrency_limit 1
t=0 site x later 0
t=0 arrive D*4 to=x
t=400 site x ok
t=400 arrive N*36 to=x quietly
t=400 flush
until 460
---
t=0 D01 to x x1
t=0 D02 to x x1
t=0 D03 to x x1
t=0 D04 to x x1
t=300 D01 to x x1
t=300 D02 to x x1
t=300 D03 to x x1
t=300 D04 to x x1
t=400 N01 to x x1
t=401 N02 to x x1
t=402 N03 to x x1
t=403 N04 to x x1
t=404 D01 to x x1
t=405 N05 to x x1
t=406 D02 to x x1
t=407 N06 to x x1
t=408 D03 to x x1
t=409 N07 to x x1
t=410 D04 to x x1
t=411 N08 to x x1
t=412 N09 to x x1
t=413 N10 to x x1
t=414 N11 to x x1
t=415 N12 to x x1
t=416 N13 to x x1
t=417 N14 to x x1
t=418 N15 to x x1
t=419 N16 to x x1
t=420 N17 to x x1
t=421 N18 to x x1
t=422 N19 to x x1
t=423 N20 to x x1
t=424 N21 to x x1
t=425 N22 to x x1
t=426 N23 to x x1
t=427 N24 to x x1
t=428 N25 to x x1
t=429 N26 to x x1
t=430 N27 to x x1
t=431 N28 to x x1
t=432 N29 to x x1
t=433 N30 to x x1
t=434 N31 to x x1
t=435 N32 to x x1
t=436 N33 to x x1
t=437 N34 to x x1
t=438 N35 to x x1
t=439 N36 to x x1
