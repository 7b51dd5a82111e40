//! What shell scripts do: redirections, appends from many processes, links, times, modes, sizes.

use crate::world::programs::{TREE, on_two_services};

#[test]
fn redirections_and_subshells() {
    let script = "cat > script.sh <<'END'\n\
        exec 3> out3 4>> out4\n\
        echo to3 >&3; (echo sub; (echo subsub >&4) ) > o1\n\
        { echo g1; echo g2 >&2; } > o2 2> o2e\n\
        cat <<X > here\n\
        doc $((1+1))\n\
        X\n\
        while read -r line; do echo \"[$line]\"; done < here > o3\n\
        printf '%s\\n' a b c | tee t1 t2 | tac > t3\n\
        exec 3>&-; echo again >&4; sort -o t3 t3; x=$(< o1); echo \"$x\" > o4\n\
        diff <(cat t1) <(cat t2) && echo same > o5\n\
        echo new >| o5; : > empty; set -C; (echo y > o5) 2> /dev/null || echo refused >> o5\n\
        echo rw 1<> o1; { echo a; sleep 0; echo b; } >> o1 & wait\n\
        END\n\
        sed -i 's/^ *//' script.sh; chmod +x script.sh; bash ./script.sh; \
        for f in out3 out4 o1 o2 o2e here o3 t1 t2 t3 o4 o5 empty; do echo $f: $(cat $f); done";
    on_two_services(&[], script, TREE);
}

#[test]
fn four_shells_append_at_once() {
    let script = "for w in a b c d; do (for i in $(seq 40); do echo $w$i >> reopened; done) & done; wait\n\
        for w in a b c d; do (exec >> held; for i in $(seq 200); do echo $w$i; done) & done; wait\n\
        wc -l reopened held; sort reopened held | md5sum";
    on_two_services(&[], script, "sort reopened | md5sum; sort held | md5sum; ls");
}

#[test]
fn sizes_holes_and_blocks() {
    let script = "set -e; seq 1000 > p; truncate -s 10M t; stat -c %s t; echo end >> t; truncate -s -5 t; truncate -s +3 t; \
        truncate -s %4096 t; stat -c %s t; md5sum < t; truncate -s 0 t; stat -c %s t; truncate -c -s 5 absent; ls\n\
        truncate -r p t; stat -c %s t; yes line | head -c 9000000 > r1; cp r1 r2\n\
        dd if=/dev/zero of=r2 bs=4096 seek=1000 count=1 conv=notrunc status=none; cmp -l r1 r2 | wc -l\n\
        dd if=/dev/zero of=r2 bs=1M seek=2 count=1 status=none; stat -c %s r2\n\
        dd if=r1 of=r3 bs=64k conv=fsync,sparse status=none; cmp r1 r3; dd if=r1 of=r4 bs=1M oflag=append conv=notrunc status=none\n\
        dd if=r1 of=r4 bs=1M oflag=append conv=notrunc status=none; stat -c %s r4; cp --sparse=always r2 r5; cmp r2 r5\n\
        dd if=r1 of=r4 bs=100 skip=7 seek=60000 count=11 conv=notrunc status=none; tail -c 20 r4; head -c 4000000 r1 > r1x";
    on_two_services(&[], script, TREE);
}

#[test]
fn links_times_and_modes() {
    let script = "echo p > p; ln -s p l; cat l; ln -sf q l; readlink l; mkdir d e; ln -s d dl; ln -sfn e dl; readlink dl; \
        ln -s d/../p rel; cat rel; ln -s loop loop; cat loop; ln -s -- 'a b' 'c d'; readlink 'c d'; ln -s p p; rm l\n\
        touch -d '2001-01-01 01:01:01.123456789' t; stat -c %y t; touch -r t u; stat -c %y u; touch -d 1969-12-31 t; stat -c %y t\n\
        touch -d 2106-02-08 t; stat -c %y t; touch -m -t 200001010000 t; touch -c absent; touch -d 2003-03-03 d; stat -c %y d\n\
        touch -h -d 2002-02-02 rel; stat -c %y rel; touch v; [ v -nt t ] && echo newer; find . -name v -mmin -5\n\
        mkdir -p c/a/b; touch c/{1..30} c/a/{1..30} c/a/b/x; chmod -R u=rwX,go=rX c; find c -printf '%m\\n' | sort | uniq -c\n\
        chmod -R 750 c; find c ! -perm 750; chown -R 12:34 c; find c ! -uid 12 -o ! -gid 34; chgrp -R 0 c; chmod 000 c/1; chmod a+t c; stat -c %a c c/1\n\
        mkdir -m 700 m; (umask 077; mkdir n; touch n/f); stat -c %a m n n/f; mktemp -p . > name; rm $(cat name) name";
    // The times are those that were set.
    let check = format!("{TREE}; stat -c '%n %y' t u rel");
    on_two_services(&[], script, &check);
}

#[test]
fn find_removes_what_it_finds() {
    let script = "mkdir -p f/{a,b}/{c,d}; touch f/a/c/{1..120} f/b/{1..120}; ln -s 1 f/b/l; find f -name '1*' -delete; \
        find f | sort; find f/a -delete; ls f; find f -type f -exec rm {} +; find f -type d -empty -delete; ls f";
    on_two_services(&[], script, TREE);
}
