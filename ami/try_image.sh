#!/usr/bin/env bash
# Provisions a Debian in a folder, boots it under qemu without KVM, and looks whether the node inside is healthy,
# has its own disk, and is started again when it hangs. About five minutes; root, on a Debian with mmdebstrap,
# qemu-system-x86, e2fsprogs and a python3 of the release's version whose pip finds the packages.
#
#   try_image.sh [--keep FOLDER]     FOLDER then holds image, kernel and console.log
set -euo pipefail

here=$(dirname -- "$(realpath -- "$0")")
release=bookworm
disk_mb=4096
boot_s=${S4_TRY_BOOT_S:-900}

if [[ ${1:-} == --keep ]]; then
    work=$(realpath -m -- "${2:?--keep needs a folder}")
    mkdir -p "$work"
else
    work=$(mktemp -d /var/tmp/s4-image-XXXXXX)
    trap 'rm -rf -- "$work"' EXIT
fi
root=$work/root

say() { printf '== %s s: %s\n' "$SECONDS" "$*"; }

prepare() { # what provision.sh needs, in one folder
    rm -rf -- "$work/in" "$root"
    mkdir -p "$work/in/wheels"
    python3 -m pip wheel -q -w "$work/in/wheels" "$here/.."
    cp -r "$here" "$work/in/ami"
}

provision() { # twice: the second time must change nothing
    cat > "$work/provision" << 'END'
#!/bin/bash
set -euo pipefail
export PIP_NO_INDEX=1 PIP_FIND_LINKS=/tmp/in/wheels
for n in 1 2; do
    bash /tmp/in/ami/provision.sh /tmp/in/wheels/s4zmq-*.whl
    find /etc /opt/s4/libexec -type f -exec sha256sum {} + | sort > "/tmp/state-$n"
done
diff /tmp/state-1 /tmp/state-2
bash /tmp/in/ami/forget.sh
rm -rf /tmp/in /tmp/state-*
END
    # shellcheck disable=SC2016 # $1 is for the hooks
    mmdebstrap --quiet --variant=apt --dpkgopt=force-unsafe-io \
        --include=linux-image-cloud-amd64,systemd-sysv,dbus,udev,kmod,busybox \
        --customize-hook="copy-in '$work/in' /tmp" \
        --customize-hook="upload '$work/provision' /tmp/provision" \
        --customize-hook='chroot "$1" bash /tmp/provision' \
        --customize-hook='rm "$1/tmp/provision"' \
        "$release" "$root"
}

equip() { # a cluster of one node, and a unit that looks at it from inside
    printf 'S4_NODE_OPTIONS=--conf /etc/s4/s4.conf\n' > "$root/etc/s4/node.env"
    printf '127.0.0.1:8080\n' > "$root/etc/s4/s4.conf"
    printf 'S4_DISKS=/dev/disk/by-id/virtio-s4disk*\n' > "$root/etc/s4/data.env"
    mkdir -p "$root/etc/systemd/system/s4-node.service.d"
    printf '[Service]\nWatchdogSec=10\n' > "$root/etc/systemd/system/s4-node.service.d/try.conf"
    printf 'LABEL=s4-root / ext4 defaults 0 1\n' > "$root/etc/fstab"
    install -m 0755 "$here/try_inside.sh" "$root/opt/s4/try_inside"
    cat > "$root/etc/systemd/system/s4-try.service" << 'END'
[Service]
Type=oneshot
ExecStart=/opt/s4/try_inside
StandardOutput=journal+console
StandardError=journal+console
ExecStopPost=systemctl poweroff --no-block
END
    ln -sfn /dev/null "$root/etc/systemd/system/serial-getty@ttyS0.service" # the console is the report's
    mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
    ln -sfn ../s4-try.service "$root/etc/systemd/system/multi-user.target.wants/s4-try.service"
}

make_disks() { # the root, a blank disk, and one that holds something
    mke2fs -q -t ext4 -L s4-root -d "$root" "$work/root.img" "${disk_mb}M"
    cp -L "$root"/boot/vmlinuz-* "$work/kernel"
    cp -L "$root"/boot/initrd.img-* "$work/initrd"
    rm -f "$work/blank.img"
    truncate -s 1G "$work/blank.img"
    truncate -s 64M "$work/held.img"
    mke2fs -q -t ext4 "$work/held.img"
    sha256sum "$work/held.img" > "$work/held.sum"
}

boot() {
    timeout "$boot_s" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 1024 \
        -display none -monitor none -serial "file:$work/console.log" -no-reboot -nic none \
        -kernel "$work/kernel" -initrd "$work/initrd" \
        -append 'root=LABEL=s4-root ro console=ttyS0 systemd.show_status=0 quiet' \
        -drive "file=$work/root.img,format=raw,if=virtio" \
        -drive "file=$work/blank.img,format=raw,if=none,id=blank" -device virtio-blk,drive=blank,serial=s4disk-blank \
        -drive "file=$work/held.img,format=raw,if=none,id=held" -device virtio-blk,drive=held,serial=s4disk-held
}

say "wheels"
prepare
say "a Debian, provisioned twice"
provision
say "the image"
equip
make_disks
say "the boot"
boot || say "qemu ended with status $?"
cat "$work/console.log"
sha256sum --quiet -c "$work/held.sum"
grep -q 's4-try: all is well' "$work/console.log"
say "the node was healthy inside the guest"
