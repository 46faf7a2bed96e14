module weft.io/bench

go 1.19
