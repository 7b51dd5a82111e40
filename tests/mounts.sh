# For scripts that run other people's programs on a real mount of the mock; to be sourced in the
# repository's root. Everything is made in $work, which goes away with the script, and so does the mount.
# PARTFS_BIN names the program to test; without it the present sources are built.

# Where tools and temporary files are.
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
daemon=

# Leaves the script when this machine cannot mount: loudly, and as a failure with PARTFS_REQUIRE_FUSE=1.
needs_fuse() {
    [[ $(id -u) -eq 0 && -w /dev/fuse ]] && return
    if [[ ${PARTFS_REQUIRE_FUSE:-} == 1 ]]; then
        echo "$0: needs root and /dev/fuse" >&2
        exit 1
    fi
    echo "$0: SKIPPED: needs root and /dev/fuse" >&2
    exit 0
}

# Builds what is to be tested, and makes $work, $mnt and $bucket.
prepare() {
    if [[ -z ${PARTFS_BIN:-} ]]; then
        cargo build --locked
        PARTFS_BIN=$target/debug/partfs
    fi
    PARTFS_BIN=$(realpath "$PARTFS_BIN")
    work=$(mktemp -d)
    mnt=$work/mnt bucket=$work/bucket
    mkdir "$mnt" "$bucket"
    chmod 755 "$work"
    trap clean_up EXIT
}

# A tool from crates.io, in this version: installed once.
tool() {
    local name=$1 version=$2 root=$target/tools/$1-$2
    if [[ ! -x $root/bin/$name ]]; then
        # A registry may be out of reach for a moment.
        local install=(cargo install --locked --quiet --root "$root" --target-dir "$target/tools/build" "$name" --version "$version")
        "${install[@]}" >&2 || "${install[@]}" >&2 || "${install[@]}" >&2
    fi
    echo "$root/bin/$name"
}

# An archive of a system that has nothing but Debian's smallest selection and these packages (NAME,NAME): the release and
# the mirror of this machine. Made once. Needs mmdebstrap and the network.
fresh_system() {
    local packages=$1 mirror components=main system
    # shellcheck disable=SC1091
    source /etc/os-release
    mirror=$(apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(SITE)' 'Created-By: Packages' |
        sed -n "s/^\(Debian\|Ubuntu\) $VERSION_CODENAME //p" | sort -u | head -n 1)
    [[ $ID != ubuntu ]] || components=main,universe
    system=$target/tools/system-$VERSION_CODENAME-$(sha256sum <<<"$packages" | head -c 8).tar
    if [[ ! -s $system ]]; then
        local make=(mmdebstrap --quiet --variant=minbase --components="$components" --include="$packages" "$VERSION_CODENAME" "$work/system.tar" "$mirror")
        # A mirror may be out of reach for a moment.
        "${make[@]}" >&2 || "${make[@]}" >&2 || "${make[@]}" >&2
        mkdir -p "$target/tools"
        mv "$work/system.tar" "$system"
    fi
    echo "$system"
}

# Mounts the objects of $bucket as this service would show them; further arguments are options.
mount_mock() {
    local dialect=$1
    shift
    "$PARTFS_BIN" mount "mock:$bucket?dialect=$dialect" "$mnt" --foreground --log-level warn "$@" &
    daemon=$!
    until mountpoint -q "$mnt"; do
        kill -0 "$daemon" 2>/dev/null || { echo "$0: the mount failed" >&2; exit 1; }
        sleep 0.05
    done
}

# Unmounts; fails when something that was written could not be stored.
unmount_mock() {
    [[ -n $daemon ]] || return 0
    # Something that looks at every new mount (an indexer, a monitor) may have it open for a moment.
    local tries=50
    until umount "$mnt"; do
        ((--tries)) || return
        sleep 0.1
    done
    local ended=$daemon
    daemon=
    wait "$ended"
}

clean_up() {
    if [[ -n $daemon ]]; then
        umount --lazy "$mnt" 2>/dev/null || true
        kill "$daemon" 2>/dev/null || true
        wait "$daemon" 2>/dev/null || true
    fi
    rm -rf "$work"
}
