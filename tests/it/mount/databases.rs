//! SQLite, in every journal mode, alone and with several writers.

use crate::world::programs::on_two_services;

const CHECK: &str = "for d in *.db; do sqlite3 $d 'pragma integrity_check' .dump; done; ls";

#[test]
fn sqlite_with_a_rollback_journal() {
    let script = "sqlite3 a.db 'pragma journal_mode=delete; create table t(a integer primary key, b text); begin; \
        with recursive c(x) as (select 1 union all select x+1 from c where x<5000) \
        insert into t select x, hex(x)||\" text\" from c; commit; update t set b=b||a where a%7=0; \
        delete from t where a%3=0; vacuum; pragma integrity_check; select count(*), sum(length(b)) from t'\n\
        sqlite3 a.db 'begin; delete from t; rollback; insert into t(b) values(1); select count(*) from t'\n\
        for mode in truncate persist memory off; do \
        sqlite3 $mode.db \"pragma journal_mode=$mode; create table t(a); insert into t values(1); \
        insert into t values(2); select count(*) from t\"; sqlite3 $mode.db 'insert into t values(3)'; done";
    on_two_services(&["sqlite3"], script, CHECK);
}

/// The write-ahead log is shared through a mapping of NAME-shm.
#[test]
fn sqlite_with_a_write_ahead_log() {
    let script = "sqlite3 w.db 'pragma journal_mode=wal; create table t(a); insert into t values(1),(2); \
        select count(*) from t'; sqlite3 w.db 'insert into t values(3); pragma journal_mode; \
        pragma wal_checkpoint(truncate)'; ls\n\
        sqlite3 e.db 'pragma locking_mode=exclusive; pragma journal_mode=wal; create table t(a); insert into t values(1)'";
    on_two_services(&["sqlite3"], script, CHECK);
}

#[test]
fn sqlite_with_two_writers_at_once() {
    let script = "for mode in delete wal; do sqlite3 $mode.db \"pragma journal_mode=$mode; create table t(a)\"; \
        for who in 1 2; do (for i in $(seq 10); do \
        sqlite3 -cmd '.timeout 60000' $mode.db \"insert into t values($who * 100 + $i)\"; done) & done; wait; \
        sqlite3 $mode.db 'pragma integrity_check; select count(*), sum(a) from t'; done";
    let check = "for d in *.db; do sqlite3 $d 'pragma integrity_check; select a from t order by a'; done; ls";
    on_two_services(&["sqlite3"], script, check);
}
