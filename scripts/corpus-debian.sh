#!/bin/sh
# Fetch third-party disk images out of Debian source packages, for the tests of the format guard.
# They are never committed; tests/guards/stream/formats/test_debian.py uses them where they are.
# Usage: corpus-debian.sh [FOLDER]    (FOLDER: build/corpus-debian; about 45 MB are downloaded)
set -eu
cd "$(dirname "$0")/.."
folder=${1:-build/corpus-debian}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# apt with the machine's own archive, but for sources, and without touching the machine's state.
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/sources"
for file in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list; do
    [ -e "$file" ] || continue
    name=$(basename "$file")
    case $name in
        *.sources) sed 's/^Types:.*/Types: deb-src/' "$file" >"$work/sources/$name" ;;
        *) sed -n 's/^deb /deb-src /p' "$file" >"$work/sources/$name.list" ;;
    esac
done
apt_get() {
    apt-get -qq -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$work/sources" \
        -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root "$@"
}
apt_get update

take() { # package, then patterns of what to take out of its tar archives
    package=$1
    shift
    target="$folder/$package"
    if [ -d "$target" ]; then
        echo "$package: already there"
        return
    fi
    mkdir -p "$work/$package/tree" "$work/$package/out"
    (cd "$work/$package" && apt_get source --download-only "$package")
    for archive in "$work/$package"/*.orig*.tar.*; do
        case $archive in *.asc) continue ;; esac
        for pattern in "$@"; do
            tar -x -f "$archive" -C "$work/$package/tree" --wildcards --no-same-owner "$pattern" 2>/dev/null || true
        done
    done
    find "$work/$package/tree" -type f | while read -r file; do
        name=$(basename "$file")
        case $name in
            *.bz2) bunzip2 -c "$file" >"$work/$package/out/${name%.bz2}" ;;
            *.xz) unxz -c "$file" >"$work/$package/out/${name%.xz}" ;;
            *.gz) gunzip -c "$file" >"$work/$package/out/${name%.gz}" ;;
            *) cp "$file" "$work/$package/out/$name" ;;
        esac
    done
    mv "$work/$package/out" "$target"
    echo "$package: $(find "$target" -type f | wc -l) files"
}

take qemu '*/tests/qemu-iotests/sample_images/*' '*/tests/data/uefi-boot-images/*'
take util-linux '*/tests/ts/blkid/images-fs/*' '*/tests/ts/blkid/images-pt/*' '*/tests/ts/blkid/images-raid/*'
take cryptsetup '*/tests/*.img.xz' '*/tests/*.img.bz2' '*/tests/*images*.tar.*'
