#!/bin/sh
# Makes the reports of this folder again, from the repository's root: sh docs/evidence/make.sh [PART ...]
# PART: road, demo, planted, and page, which writes README.md from the numbers; all of them by default.
# It goes on where it was stopped: what is finished lies in build/evidence, and is made anew when that folder is deleted.
# The authors' network and road need ../shared (or $VBP_SHARED). COUNT: frames of each drive (40; fewer are quicker).
# SIDE=1: a drive's reports are made side by side. About two hours on two cores, niced.
set -e
work=build/evidence
shared=${VBP_SHARED:-../shared}
authors=$work/authors.safetensors
count=${COUNT:-40}
mkdir -p $work
test -f $authors || vbp import-torch7 "$shared/reference/visualbackprop-authors/model.t7b" --name Authors -o $authors

report() {  # NAME ARGUMENTS: docs/evidence/NAME.html and .json, where they are not made yet
    name=$1
    shift
    test -f $work/$name.json || nice -n 10 vbp evidence "$@" -o $work/$name.html
    cp $work/$name.html $work/$name.json docs/evidence/
}

each() {  # NAME SOURCE FRAMES: a report for each network
    for model in NetSVF NetHVF $authors; do
        name=$1-$(basename $model .safetensors | tr '[:upper:]' '[:lower:]')
        if test -n "$SIDE"; then
            report $name "$2" --frames $3 --count $count --model $model &
        else
            report $name "$2" --frames $3 --count $count --model $model
        fi
    done
    wait
}

road() { each road "$shared/data/udacity-ch2-video/ch2_first_half.mp4" 2150:2807; }  # held out in training

demo() { each demo assets/demo 40:; }  # a seed that no network was trained on

planted() {  # a network that learns a reflection on the windscreen instead of the road, and an unseen drive with it
    for k in 1 2 3; do
        test -d $work/planted-$k ||
            vbp simulate -o $work/planted-$k --seed 30$k --frames 300 --fps 4 --plant reflection --no-truth
    done
    test -d $work/unseen ||
        vbp simulate -o $work/unseen --seed 399 --frames 200 --fps 4 --plant reflection --truth-every 5
    test -f $work/planted-done ||
        vbp train $work/planted-? --network NetHVF --epochs 4 --optimizer adamw --schedule onecycle --lr 1e-3 --seed 1 \
            -o $work/run
    touch $work/planted-done
    report planted assets/demo --frames 40: --count $count --model NetHVF --experiments truth \
        --planted $work/run/last.safetensors $work/unseen
}

page() {  # and the table in the project's README
    python docs/evidence/page.py > $work/README.md && mv $work/README.md docs/evidence/README.md
    python docs/evidence/page.py docs/evidence README.md
}

for part in ${*:-road demo planted page}; do $part; done
