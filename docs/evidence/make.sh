#!/bin/sh
# Makes the reports of this folder again, from the repository's root: sh docs/evidence/make.sh [PART ...]
# PART: road, demo, planted, and page, which writes README.md from the numbers; all of them by default.
# The authors' network and road need ../shared (or $VBP_SHARED). What is made on the way stays in build/evidence.
# COUNT: frames of each drive (24). SIDE=1: a drive's reports are made side by side.
set -e
work=build/evidence
shared=${VBP_SHARED:-../shared}
authors=$work/authors.safetensors
count=${COUNT:-24}
mkdir -p $work
test -f $authors || vbp import-torch7 "$shared/reference/visualbackprop-authors/model.t7b" --name Authors -o $authors

each() {  # NAME SOURCE FRAMES: a report for each network
    for model in NetSVF NetHVF $authors; do
        report=docs/evidence/$1-$(basename $model .safetensors | tr '[:upper:]' '[:lower:]').html
        if test -n "$SIDE"; then
            vbp evidence "$2" --frames $3 --count $count --model $model -o $report &
        else
            vbp evidence "$2" --frames $3 --count $count --model $model -o $report
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
            -o $work/run; touch $work/planted-done
    vbp evidence assets/demo --frames 40: --count $count --model NetHVF --experiments truth \
        --planted $work/run/last.safetensors $work/unseen -o docs/evidence/planted.html
}

page() { python docs/evidence/page.py > $work/README.md && mv $work/README.md docs/evidence/README.md; }

for part in ${*:-road demo planted page}; do $part; done
