#!/bin/sh
# Stands for apt-get, apt-cache and dpkg-query of a small machine: says what those of Debian 12 say, and keeps what
# is installed in a file. Called by the name of the tool.
PATH=/usr/bin:/bin
machine=$(dirname "$0")/../machine
tool=$(basename "$0")

candidate() { awk -F'\t' -v n="$1" '$1 == n { print $2 }' "$machine/lists"; }
depends() { awk -F'\t' -v n="$1" '$1 == n { print $3 }' "$machine/lists"; }
installed() { awk -F'\t' -v n="$1" '$1 == n { print $2 }' "$machine/installed"; }
held() { grep -qx "$1" "$machine/held" 2>/dev/null && echo "hi " || echo "ii "; }

keep() {
    grep -v "^$1	" "$machine/installed" >"$machine/next"
    [ -z "$2" ] || printf '%s\t%s\n' "$1" "$2" >>"$machine/next"
    sort "$machine/next" >"$machine/installed"
    rm "$machine/next"
}

case $tool in
dpkg-query)
    shift 3
    [ "$1" != -- ] || shift
    code=0
    for name in ${*:-$(cut -f1 "$machine/installed")}; do
        version=$(installed "$name")
        if [ -n "$version" ]; then
            printf '%s\t%s\t%s\tall\ttest %s\n' "$name" "$(held "$name")" "$version" "$name"
        else
            echo "dpkg-query: no packages found matching $name" >&2
            code=1
        fi
    done
    exit $code
    ;;
apt-cache)
    case $1 in
    policy)
        shift 2
        for name; do
            [ -n "$(candidate "$name")" ] || continue
            version=$(installed "$name")
            printf '%s:\n  Installed: %s\n  Candidate: %s\n' "$name" "${version:-(none)}" "$(candidate "$name")"
        done
        ;;
    search) cut -f1 "$machine/lists" | grep "$3" | sed 's/.*/& - test &/' ;;
    show)
        version=$(candidate "$4")
        [ -n "$version" ] || { echo "E: No packages found" >&2; exit 100; }
        printf 'Package: %s\nVersion: %s\nArchitecture: all\nDescription: test %s\n Long text.\n\n' "$4" "$version" "$4"
        ;;
    esac
    exit
    ;;
esac

simulate= verb= names=
while [ $# -gt 0 ]; do
    case $1 in
    -s) simulate=yes ;;
    -o) shift ;;
    -*) ;;
    *) if [ -z "$verb" ]; then verb=$1; else names="$names $1"; fi ;;
    esac
    shift
done
if [ -z "$simulate" ] && [ -e "$machine/locked" ]; then
    echo "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 4711 (unattended-upgr)" >&2
    echo "E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?" >&2
    exit 100
fi

come() {
    before=$(installed "$1")
    [ "$before" != "$2" ] || return 0
    echo "Inst $1 ${before:+[$before] }($2 localhost [all])"
    [ -n "$simulate" ] || keep "$1" "$2"
}

go() {
    before=$(installed "$1")
    [ -n "$before" ] || return 0
    for other in $(awk -F'\t' -v n="$1" '$3 == n { print $1 }' "$machine/lists"); do go "$other"; done
    echo "Remv $1 [$(installed "$1")]"
    [ -n "$simulate" ] || keep "$1" ""
}

case $verb in
update)
    if [ -e "$machine/current" ]; then
        echo "Hit:1 http://mirror.example.org/debian bookworm InRelease"
    else
        echo "Get:1 http://mirror.example.org/debian bookworm InRelease [151 kB]"
        : >"$machine/current"
    fi
    ;;
install)
    for name in $names; do
        version=${name#*=}
        [ "$version" != "$name" ] || version=$(candidate "$name")
        name=${name%%=*}
        needed=$(depends "$name")
        [ -z "$needed" ] || [ -n "$(installed "$needed")" ] || come "$needed" "$(candidate "$needed")"
        come "$name" "$version"
    done
    ;;
upgrade)
    for name in $(cut -f1 "$machine/installed"); do
        [ "$(held "$name")" = "hi " ] || come "$name" "$(candidate "$name")"
    done
    ;;
remove | purge) for name in $names; do go "$name"; done ;;
esac
