# Fetches Debian packages into this folder and unpacks them: "needs" (what of them and what they need is not installed) or "", NAME...
needs=$1
shift
names() {
    if test -n "$needs"; then
        apt-get --simulate --option APT::Install-Recommends=false install "$@" | sed -n 's/^Inst \([^ ]*\) .*/\1/p'
        return
    fi
    for name in "$@"; do
        case $name in
        # Its one content is a dependency on the kernel of today.
        linux-image-amd64) apt-cache depends "$name" | sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1 ;;
        *) echo "$name" ;;
        esac
    done
}
get() {
    wanted=$(names "$@" | sort -u)
    # One that is not known is in no list.
    test -n "$wanted" && apt-get download $wanted
}
# Lists of packages may be missing or old, and only root may fetch them.
get "$@" || { apt-get update && get "$@"; }
for package in ./*.deb; do
    dpkg-deb -x "$package" .
    rm "$package"
done
