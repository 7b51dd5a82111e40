//! rsync with the options that change how it writes.

use crate::world::programs::{TREE, on_two_services};

#[test]
fn rsync_in_each_of_its_ways() {
    let script = "set -e; mkdir -p s/sub; for i in $(seq 50); do seq $i 600 > s/$i; done; echo q > s/sub/q; ln -s 1 s/link; touch -d 2001-01-01 s/* s/sub/q\n\
        rsync -a s/ d; rm s/7; echo more >> s/8; mkdir s/8d; rm -r s/sub; touch -d 2001-02-02 s/8; rsync -aiO --delete s/ d; rsync -aiO --delete s/ d\n\
        yes line | head -c 6000000 > s/big; rsync -a s/ d; echo appended >> s/big; touch -d 2003-01-01 s/big; rsync -aiO --append-verify s/ d; cmp s/big d/big\n\
        printf changed | dd of=s/big bs=7 seek=300001 conv=notrunc status=none; touch -d 2003-02-01 s/big; rsync -aiO --inplace --no-whole-file s/ d; cmp s/big d/big\n\
        truncate -s 5000000 s/big; touch -d 2003-03-01 s/big; rsync -aiO --inplace s/ d; cmp s/big d/big; rsync -aicO s/ d\n\
        echo x > s/9; rsync -a --delay-updates s/ d; echo longer > s/9; rsync -a --backup --suffix=.old s/ d; cat d/9 d/9.old\n\
        rsync -aS --partial-dir=.partial s/ sparse; diff -r s sparse; rsync -a --compare-dest=$PWD/s s/ none; ls none\n\
        rsync -a --remove-source-files sparse/ moved; find sparse -type f; diff -r s moved; rsync -a --chmod=F600,D700 s/ modes; rsync -au --existing --ignore-existing s/ d";
    on_two_services(&["rsync"], script, TREE);
}
