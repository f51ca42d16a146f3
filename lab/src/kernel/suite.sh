# Fetches User-Mode Linux of another suite into this folder, with that suite's C library: SUITE MIRROR KEYRING-OR-NOTHING KNOWN-VERSION...
suite=$1 mirror=$2 keyring=$3
shift 3
here=$PWD
mkdir -p apt/lists/partial apt/archives/partial apt/parts
: >apt/status
{
    echo "Types: deb"
    echo "URIs: $mirror"
    echo "Suites: $suite"
    echo "Components: main"
    test -z "$keyring" || echo "Signed-By: $keyring"
} >apt/parts/lab.sources
# Lists, archives and sources of its own. What is not signed by Debian is refused.
ours() {
    "$@" \
        -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$here/apt/parts" \
        -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts="$here/apt/none" \
        -o Dir::State::Lists="$here/apt/lists" -o Dir::State::status="$here/apt/status" \
        -o Dir::Cache="$here/apt" -o Dir::Cache::archives="$here/apt/archives" \
        -o Acquire::AllowInsecureRepositories=false -o APT::Get::AllowUnauthenticated=false \
        -o Acquire::Languages=none -o Acquire::http::Timeout=20 -o Acquire::Retries=1
}
ours apt-get update --error-on=any
version=$(ours apt-cache policy user-mode-linux | sed -n 's/^ *Candidate: //p')
case $version in
'' | '(none)')
    echo "$suite has no user-mode-linux" >&2
    exit 1
    ;;
esac
for known in "$@"; do
    test "$known" != "$version" || exit 73
done
ours apt-get download user-mode-linux libc6
mkdir libc
dpkg-deb -x user-mode-linux_*.deb .
dpkg-deb -x libc6_*.deb libc
rm -r ./*.deb apt
echo "$version" >version
