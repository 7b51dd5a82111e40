//! Programs that save: vim in each of its ways, sed, perl, patch.

use crate::world::programs::{TREE, on_two_services};

#[test]
fn vim_saves_in_each_of_its_ways() {
    let script = "vi() { vim.tiny -u NONE -i NONE -e -s \"$@\" -c wq f || echo failed; cat f; ls -A; }\n\
        printf 'one\\ntwo\\n' > f; chmod 640 f\n\
        vi -c 'set backup backupcopy=no' -c '%s/two/2/'; stat -c %a f 'f~'\n\
        vi -c 'set backup backupcopy=yes' -c '%s/2/zwei/'\n\
        vi -c 'set nobackup nowritebackup' -c '%s/one/1/'\n\
        vi -c 'set nobackup writebackup backupcopy=auto' -c '%s/1/eins/'\n\
        ln -s f link; vim.tiny -u NONE -i NONE -e -s -c '%s/eins/uno/' -c wq link; readlink link; cat f";
    on_two_services(&["vim.tiny"], script, TREE);
}

#[test]
fn sed_perl_and_install_replace_files() {
    let script = "set -e; printf 'a\\nb\\n' > s; chmod 604 s; sed -i s/a/A/ s; sed -i.bak s/b/B/ s; cat s s.bak; \
        stat -c %a s s.bak; perl -pi -e s/A/x/ s; cat s; echo three > t; sort -o t t s; cat t\n\
        install -m 751 -D t bin/x/y; stat -c %a bin/x/y; install -m 600 s bin/x/y; stat -c %a bin/x/y\n\
        install -d -m 711 new/dir; stat -c %a new new/dir; install -C -m 644 s c; install -C -v -m 644 s c; install -b t c; ls c*\n\
        cp -b s t; cp --backup=numbered s t; mv -b s t; ls; cp -u t u; ln -s t l; cp -L l copied; cp -P l linked\n\
        python3 -c 'import os; open(\"py\", \"w\").write(\"x\"); os.replace(\"py\", \"py2\"); fd = os.open(\"py2\", os.O_RDWR); \
        print(os.pwrite(fd, b\"abc\", 3), os.fstat(fd).st_size); os.ftruncate(fd, 5); print(os.pread(fd, 10, 0))'\n\
        python3 -c 'f = open(\"py3\", \"a+\"); f.write(\"hi\"); f.flush(); import os; os.unlink(\"py3\"); f.seek(0); print(f.read())'";
    on_two_services(&["perl", "python3"], script, TREE);
}
