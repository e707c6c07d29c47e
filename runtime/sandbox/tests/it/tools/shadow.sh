#!/bin/sh
# Stands for getent and the tools of shadow on a small machine: keeps accounts and groups in files of the usual form.
# Called by the name of the tool.
PATH=/usr/bin:/bin
machine=$(dirname "$0")/../machine
tool=$(basename "$0")

field() { # file, name, number of the field, its value
    awk -F: -v OFS=: -v n="$2" -v f="$3" -v v="$4" '$1 == n { $f = v } { print }' "$machine/$1" >"$machine/next"
    mv "$machine/next" "$machine/$1"
}

gone() { # file, name
    awk -F: -v n="$2" '$1 != n' "$machine/$1" >"$machine/next"
    mv "$machine/next" "$machine/$1"
}

join() { # account, groups with commas around
    awk -F: -v OFS=: -v u="$1" -v g=",$2," '{
        n = split($4, member, ","); all = ""
        for (i = 1; i <= n; i++) if (member[i] != u) all = all (all ? "," : "") member[i]
        if (index(g, "," $1 ",")) all = all (all ? "," : "") u
        $4 = all; print }' "$machine/group" >"$machine/next"
    mv "$machine/next" "$machine/group"
}

hash_of() { awk -F: -v n="$1" '$1 == n { print $2 }' "$machine/shadow"; }

if [ "$tool" = getent ]; then
    [ $# = 2 ] || exec cat "$machine/$1"
    grep "^$2:" "$machine/$1" || exit 2
    exit 0
fi
if [ "$tool" = chpasswd ]; then
    IFS=: read -r name hash
    field shadow "$name" 2 "$hash"
    exit
fi

uid= group= groups=unset home= shell=/bin/sh comment= expires= lock= given=
while [ $# -gt 1 ]; do
    case $1 in
    -u) uid=$2; shift ;;
    -g) group=$2; shift ;;
    -G) groups=$2; shift ;;
    -M) [ "$tool" != gpasswd ] || { groups=$2; shift; } ;;
    -d) home=$2; shift ;;
    -s) shell=$2; given=yes; shift ;;
    -c) comment=$2; shift ;;
    -e) expires=$2; shift ;;
    -L | -U) lock=$1 ;;
    esac
    shift
done
name=$1

case $tool in
useradd)
    ! grep -q "^$name:" "$machine/passwd" || { echo "useradd: user '$name' already exists" >&2; exit 9; }
    uid=${uid:-1001}
    [ -n "$group" ] || echo "$name:x:$uid:" >>"$machine/group"
    echo "$name:x:$uid:$uid:$comment:${home:-/home/$name}:$shell" >>"$machine/passwd"
    echo "$name:!:20780:0:99999:7::$expires:" >>"$machine/shadow"
    [ "$groups" = unset ] || join "$name" "$groups"
    ;;
usermod)
    [ -z "$given" ] || field passwd "$name" 7 "$shell"
    [ -z "$comment" ] || field passwd "$name" 5 "$comment"
    [ -z "$home" ] || field passwd "$name" 6 "$home"
    # The file counts days.
    [ -z "$expires" ] || field shadow "$name" 8 "$(($(date -u -d "$expires" +%s) / 86400))"
    [ "$groups" = unset ] || join "$name" "$groups"
    [ "$lock" != -L ] || field shadow "$name" 2 "!$(hash_of "$name")"
    [ "$lock" != -U ] || field shadow "$name" 2 "$(hash_of "$name" | sed 's/^!//')"
    ;;
userdel)
    for file in passwd shadow group; do gone "$file" "$name"; done
    join "$name" ""
    ;;
groupadd) echo "$name:x:${group:-1500}:" >>"$machine/group" ;;
groupmod) field group "$name" 3 "$group" ;;
groupdel) gone group "$name" ;;
gpasswd) field group "$name" 4 "$groups" ;;
esac
