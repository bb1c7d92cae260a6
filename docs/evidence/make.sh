#!/bin/sh
# Makes the reports of this folder again, from the repository's root: sh docs/evidence/make.sh [road|demo|planted]
# Road: the recordings and the authors' network in ../shared. What it makes on the way stays in build/evidence.
set -e
work=build/evidence
shared=${VBP_SHARED:-../shared}
authors=$work/authors.safetensors
mkdir -p $work
test -f $authors || vbp import-torch7 "$shared/reference/visualbackprop-authors/model.t7b" --name Authors -o $authors

planted() {  # a network that learns a reflection on the windscreen instead of the road, and an unseen drive with it
    test -f $work/run/last.safetensors && return
    for k in 1 2 3; do
        test -d $work/planted-$k || vbp simulate -o $work/planted-$k --seed 30$k --frames 300 --fps 4 --plant reflection --no-truth
    done
    test -d $work/unseen || vbp simulate -o $work/unseen --seed 399 --frames 200 --fps 4 --plant reflection --truth-every 5
    vbp train $work/planted-? --network NetHVF --epochs 4 --optimizer adamw --schedule onecycle --lr 1e-3 --seed 1 -o $work/run
}
road() {
    vbp evidence "$shared/data/udacity-ch2-video/ch2_first_half.mp4" --frames 2150:2807 --count 12 \
        --model NetSVF --model NetHVF --model $authors -o docs/evidence/road.html
}
demo() {
    planted
    vbp evidence assets/demo --frames 40: --count 12 --model NetHVF --model NetSVF --model $authors \
        --planted $work/run/last.safetensors $work/unseen -o docs/evidence/demo.html
}

for part in ${*:-road demo}; do $part; done
