"""Build the corpus that mini was pretrained on, from Debian packages of free games.

Nobody needs this to use sordino. It wants a Debian or Ubuntu machine with the package lists fetched
(`apt-get update`); nothing is installed, the packages are only unpacked. Some GB are downloaded one after the
other and deleted again, the music and about 4 GB of features stay:

    python tools/build_corpus.py --out corpus --processes 2

leaves `corpus/packages/<package>/...` (sound files, the package's copyright file, and `VERSION`), the store
`corpus/store` for `sordino pretrain corpus/packages --store corpus/store`, and `corpus/sources.tsv`
(package, version, files, hours). Debian bookworm's versions gave 38.9 h in 846 files. planetblupi is left
out on purpose: it is kept for evaluation.
"""

import argparse
import subprocess
import zipfile
from pathlib import Path

from sordino.pretrain.show import bar
from sordino.pretrain.store import FRAME_RATE_HZ, SUFFIXES, Store, build_store

# The terms of the music, as the package states them; all are in Debian main, so all may be changed and passed on.
PACKAGES = {
    "0ad-data": "CC-BY-SA-3.0",
    "a7xpg-data": "BSD-2-Clause",
    "angrydd": "GPL-2",
    "ardentryst": "CC-BY-SA-3.0",
    "asc-music": "GPL-2+",
    "berusky2-data": "GPL-2+",
    "colobot-common-sounds": "GPL-3+",
    "davegnukem-data": "GPL-2 or GPL-3, CC-BY-3.0",
    "enigma-data": "GPL-2+",
    "extremetuxracer-data": "GPL-2+",
    "fillets-ng-data": "GPL-2+",
    "flare-game": "CC-BY-SA-3.0+",
    "freecol": "CC-BY-4.0, GPL-2+",
    "freedroidrpg-data": "GPL-2+",
    "frozen-bubble-data": "GPL-2",
    "funnyboat": "MIT",
    "gamine-data": "public domain",
    "gigalomania-data": "CC-BY-3.0",
    "gunroar-data": "BSD-2-Clause",
    "hannah-data": "GPL-2",
    "hedgewars-data": "GPL-2, some GFDL-1.3",
    "hex-a-hop-data": "CC-BY-SA-3.0",
    "hyperrogue-music": "CC-BY-SA-3.0",
    "lincity-ng-data": "GPL-2+",
    "lordsawar-data": "GPL-3+",
    "lugaru-data": "CC-BY-SA-3.0",
    "marsshooter-data": "CC-BY-SA-3.0",
    "megaglest-data": "CC-BY-SA-3.0",
    "mu-cade-data": "BSD-2-Clause",
    "naev-data": "GPL-2+, GPL-3 or CC-BY-3.0, CC-BY-3.0, CC-BY-SA-3.0, by track",
    "neverball-common": "GPL-2+",
    "nexuiz-music": "GPL-2+",
    "noiz2sa-data": "BSD-2-Clause",
    "openclonk-data": "CC-BY-3.0 or CC0",
    "parsec47-data": "BSD-2-Clause",
    "pathological": "GPL-2+",
    "pax-britannica-data": "MIT",
    "photofilmstrip": "GPL-2+",
    "plee-the-bear-data": "CC-BY-SA-3.0",
    "powermanga-data": "GPL-3+",
    "pushover-data": "GPL-3+",
    "redeclipse-data": "CC-BY-SA-3.0+",
    "scorched3d-data": "GPL-2+",
    "singularity-music": "Creative Commons (deed in the package)",
    "starfighter-data": "GPL-2+, CC-BY-3.0, CC-BY-SA-3.0",
    "supertux-data": "GPL-2+",
    "supertuxkart-data": "CC-BY-SA-3.0, CC-BY-SA-4.0, CC-BY-3.0, CC0, by track",
    "titanion-data": "BSD-2-Clause",
    "torus-trooper-data": "BSD-2-Clause",
    "tumiki-fighters-data": "BSD-2-Clause",
    "tuxmath-data": "CC-BY-SA-3.0, GPL-3+",
    "ufoai-music": "GPL-2+, CC-BY-3.0, CC-BY-SA-3.0, public domain, by track",
    "unknown-horizons": "CC-BY-SA-3.0",
    "warmux-data": "GPL-2+",
    "warzone2100-music": "GPL-2+",
    "wesnoth-1.16-music": "GPL-2+",
    "widelands-data": "GPL-2+, one track CC-BY-SA-3.0",
    "wizznic-data": "GPL-3+",
    "xmoto-data": "GPL-2+",
    "zaz-data": "CC-BY-SA-3.0",
}
HELD_OUT = ("megaglest-data", "singularity-music")  # for validation: other composers than the rest
ARCHIVES = (".pk3", ".zip")  # games keep their data in zip files
SHORTEST_S, SMALLEST_BYTES = 25.0, 200_000  # below lie jingles and sound effects


def unpack(package, folder):
    """Download a package, keep its music and its copyright file, delete the rest."""
    if (folder / "VERSION").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["apt-get", "download", "-q", package], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    [deb] = folder.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", deb.name, "."], cwd=folder, check=True)
    version = deb.name.split("_")[1].replace("%3a", ":")
    deb.unlink()
    for archive in [path for path in folder.rglob("*") if path.suffix in ARCHIVES and path.is_file()]:
        with zipfile.ZipFile(archive) as content:
            music = [name for name in content.namelist() if Path(name).suffix.lower() in SUFFIXES]
            content.extractall(archive.parent, music)
    for path in folder.rglob("*"):
        if path.is_symlink() or (path.is_file() and not is_kept(path)):
            path.unlink()
    (folder / "VERSION").write_text(version + "\n")


def is_kept(path):
    is_music = path.suffix.lower() in SUFFIXES and path.stat().st_size > SMALLEST_BYTES
    return is_music or path.name == "copyright"


def write_sources(store, packages, path):
    lines = ["package\tversion\tfiles\thours\tterms"]
    for package in packages.iterdir():
        items = [item for item in store.items if item.source.startswith(f"{package.name}/")]
        hours = sum(item.n_frames for item in items) / FRAME_RATE_HZ / 3600
        version = (package / "VERSION").read_text().strip()
        terms = PACKAGES.get(package.name, "see its copyright file")
        lines.append(f"{package.name}\t{version}\t{len(items)}\t{hours:.2f}\t{terms}")
    path.write_text("\n".join([lines[0], *sorted(lines[1:])]) + "\n")


def main():
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--packages", nargs="*", default=list(PACKAGES))
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    packages = args.out / "packages"
    for package in args.packages:
        print(package, flush=True)
        unpack(package, packages / package)
    with bar("decoding") as report:
        left_out = build_store(
            packages, args.out / "store", shortest_s=SHORTEST_S, validation_albums=HELD_OUT,
            n_processes=args.processes, report=report,
        )  # fmt: skip
    print(*left_out, sep="\n")
    write_sources(Store(args.out / "store"), packages, args.out / "sources.tsv")


if __name__ == "__main__":
    main()
