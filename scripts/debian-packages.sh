#!/bin/sh
# Install the Debian packages that part of the project wants; say plainly what is off without them.
# Usage: debian-packages.sh run|demo|test|fresh    (DEBIAN_PACKAGES=no installs nothing)
set -u
what=$1
[ "${DEBIAN_PACKAGES:-yes}" = no ] && exit 0
say() { printf '%s\n' "$*" >&2; }

off_without() {
    case $1 in
        libmagic1) echo "content that is no disk image is refused without being named" ;;
        python3-venv) echo "the virtual environment cannot be made" ;;
        qemu-utils) echo "tests with images made and judged by qemu-img are skipped; the demo makes no qcow2" ;;
        *) echo "tests and demos that use it are skipped" ;;
    esac
}

packages="libmagic1"
if [ ! -x .venv/bin/python ] && ! "${PYTHON:-python3}" -c "import ensurepip" 2>/dev/null; then
    packages="$packages python3-venv"
fi
if [ "$what" = demo ]; then
    packages="$packages qemu-utils qemu-system-x86 bubblewrap grub-rescue-pc docker-registry"
fi
if [ "$what" = fresh ]; then
    packages="mmdebstrap"
fi
if [ "$what" = test ]; then
    packages="$packages qemu-utils qemu-system-x86 bubblewrap xorriso genisoimage grub-rescue-pc memtest86+ ipxe cryptsetup-bin gdisk fdisk \
        nginx-light zstd xz-utils bzip2 pigz lz4 zip p7zip-full mtools e2fsprogs squashfs-tools chromium chromium-driver curl \
        docker-registry docker-compose aria2 lxd lxd-client groff-base systemd man-db git gawk zsh fish postgresql \
        advancecomp binutils btrfs-progs cpio dar device-tree-compiler dosfstools erofs-utils exfatprogs f2fs-tools gpg jfsutils \
        lbzip2 libarchive-tools lrzip lzip lzop ncompress nilfs-tools ntfs-3g openssl parted reiserfsprogs u-boot-tools udftools wimtools zpaq"
fi

lacking() { # lacking PACKAGE...: those of them that are not installed
    # shellcheck disable=SC2016
    have=$(dpkg-query --show --showformat='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p')
    for package in "$@"; do
        printf '%s\n' "$have" | grep -qx "$package" || printf ' %s' "$package"
    done
}
# shellcheck disable=SC2086
missing=$(lacking $packages)
[ -z "$missing" ] && exit 0

as_root=""
if [ "$(id -u)" != 0 ]; then
    as_root="sudo -n"
    sudo -n true 2>/dev/null || as_root="no"
fi
if [ "$as_root" = no ] || ! command -v apt-get >/dev/null; then
    say "Not installed, and this user may not install packages:$missing"
else
    say "Installing Debian packages:$missing"
    # nginx must not start a service of its own on port 80.
    policy=/usr/sbin/policy-rc.d
    made_policy=""
    if [ ! -e $policy ]; then
        trap '[ -z "$made_policy" ] || $as_root rm -f $policy' EXIT
        trap 'exit 130' INT TERM
        made_policy=yes
        printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null && $as_root chmod +x $policy
    fi
    $as_root apt-get -qq update >&2
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends $missing >/dev/null ||
        for package in $missing; do
            $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends "$package" >/dev/null
        done
fi
# shellcheck disable=SC2086
for package in $(lacking $missing); do
    say "  without $package: $(off_without "$package")"
done
exit 0
