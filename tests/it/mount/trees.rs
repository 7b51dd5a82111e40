//! Trees that are moved and copied: within the mount, into it and out of it.

use crate::world::programs::{TREE, on_two_services};

/// 400 files in four directories, with modes, times and links.
const MAKE: &str = "make() { mkdir -p $1/{a,b}/c; for i in $(seq 100); do for d in a b a/c b/c; do echo $d $i > $1/$d/$i; done; done; \
     ln -s 7 $1/a/link; ln -s nowhere $1/dangling; chmod 600 $1/a/1*; touch -d '2001-02-03 04:05:06.789' $1/*/1* $1/*/c/1*; touch -h -d 2002-02-02 $1/a/link; }\n";

#[test]
fn trees_move_within_into_and_out_of_a_mount() {
    let script = "set -e; out=$(mktemp -d); trap 'rm -r $out' EXIT\n\
        make t; mv t u; ls; mv u/a/c u/b/d; mkdir v; mv u v; mv v/u/b/[1-5]* v; ls v | wc -l\n\
        mv v $out/v; ls; (cd $out && find v -type f -print0 | sort -z | xargs -0 md5sum | md5sum; find v -printf '%P %m %l\\n' | sort | md5sum)\n\
        mv $out/v back; ls $out; make $out/w; mv $out/w .; mkdir empty; mv -T empty x; mv -n x/../back/u/a/1 w/a/1; mv -T w/b/c y; ls";
    on_two_services(
        &[],
        &format!("{MAKE}{script}"),
        &format!("{TREE}; find . -name '1*' -path '*b/*' -printf '%P %t\\n' | sort"),
    );
}

#[test]
fn cp_a_of_trees_keeps_attributes_and_links() {
    let script = "set -e; make t; setfattr -n user.colour -v green t/a/7 t/b; cp -a t u; getfattr -d u/a/7 u/b | grep -v ^user.partfs.; \
        diff -r --no-dereference t u; stat -c '%N %a %Y' u/a/link u/b/1; cp -r t/a plain; cp -rL t/a followed; cp -as $PWD/t/b links; \
        cat links/7; cp -a --remove-destination t/b/1 u/a/link; cat u/a/link; rm -r t; rmdir t 2>&1 || true; rm -r links";
    let check = format!("{TREE}; find u -name '1*' -path '*b/*' -printf '%P %t\\n' | sort");
    on_two_services(&["setfattr"], &format!("{MAKE}{script}"), &check);
}
