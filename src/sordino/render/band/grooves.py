"""Drum patterns by name, several of each, as they are played in many styles of music.

Written in the language of `figures`: one line for each drum, ``x`` a stroke, ``o`` an accent, ``g`` a ghost note.
Drums: K kick, R rim, S snare, C clap, H closed, P pedal and O open hi-hat, D ride, B ride bell, A crash, L M T low,
middle and high tom, W cowbell, G U high and low conga, V claves, Q shaker, N tambourine. Swung styles write plain
eighths or sixteenths: the player swings them.
"""

from __future__ import annotations

from collections import defaultdict

from .figures import read_figure

DRUMS = {"K": 36, "R": 37, "S": 38, "C": 39, "H": 42, "P": 44, "O": 46, "D": 51, "B": 53, "A": 49, "L": 45, "M": 47,
         "T": 50, "W": 56, "G": 62, "U": 64, "V": 75, "Q": 70, "N": 54}  # fmt: skip

_TEXT = """
rock
K o... ..x. o... ....
S .... o... .... o...
H x.x. x.x. x.x. x.x.

rock
K o... .... o.x. ....
S .... o... .... o..g
H x.x. x.x. x.x. x.xx

rock
K o.x. .... ..o. x...
S .... o... .... o...
D x.x. x.x. x.x. x.x.

rock
K o... ..x. ..x. ....
S .... o... .... o...
H o... x... o... x...

rock
K o..x ..x. .xx. ....
S .... o... .... o...
O x... x... x... x...

hard rock
K o.x. .... o.x. ..x. o.x. .... oxx. ....
S .... o... .... o... .... o... .... o..x
O x... x... x... x... x... x... x... x...

pop
K o... .... o... ....
S .... o... .... o...
H x.x. x.x. x.x. x.x.

pop
K o... ..x. ..x. ....
S .... o... .... o...
H xxxx xxxx xxxx xxxx

pop
K o... ...x ..x. ..x.
C .... o... .... o...
H x.x. x.x. x.x. x.x.
Q xxxx xxxx xxxx xxxx

pop
K o... o... o... o...
S .... o... .... o...
H ..x. ..x. ..x. ..x.
N .... x... .... x...

half-time
K o... .... ..x. .... .... ..x. .... ....
S .... .... .... .... o... .... .... ....
H x... x... x... x... x... x... x... x...

disco
K o... o... o... o...
S .... o... .... o...
H x... x... x... x...
O ..x. ..x. ..x. ..x.

disco
K o... o... o... o...
S .... o... .... o..g
H x.xx x.xx x.xx x.xx
C .... x... .... x...

house
K o... o... o... o...
C .... o... .... o...
O ..x. ..x. ..x. ..x.

house
K o... o... o... o...
C .... o... .... o...
H x.xx x.xx x.xx x.xx
O ..x. ..x. ..x. ..x.
R ...x .... ..x. ....

house
K o... o... o... o..x
S .... x... .... x...
Q xxxx xxxx xxxx xxxx
G ..x. .x.. x..x ..x.

techno
K o... o... o... o...
H ..x. ..x. ..x. ..x.
R .... ..x. ...x ....

techno
K o... o... o... o...
O ..x. ..x. ..x. ..x.
H xxxx xxxx xxxx xxxx
C .... o... .... o...

techno
K o... o... o... o.x.
D ..x. ..x. ..x. ..x.
L ...x ..x. .x.. x...

trance
K o... o... o... o...
C .... o... .... o...
O ..o. ..o. ..o. ..o.
H xxgx xxgx xxgx xxgx

hip-hop
K o... ...x ..x. ....
S .... o... .... o...
H x.x. x.x. x.x. x.x.

hip-hop
K o..x .... ..xx ....
S .... o... .... o..g
H x.x. x.x. x.x. x.xx

hip-hop
K o.x. .... .xo. ...x
S .... o... .g.. o...
H xxxx x.xx xxxx x.x.

hip-hop
K o... .... x.x. ..x.
C .... o... .... o...
H x.x. x.xx x.x. x.x.
O .... .... .... ..x.

trap
K o... .... .... ..x. ..x. .... .... ....
S .... .... o... .... .... .... o... ....
H x.x. x.x. x.x. x.x. x.x. xxx x.x. xxxxxx

trap
K o... ..x. .... .... ...x .... x... ....
C .... .... o... .... .... .... o... ....
H x.x. x.xx x.x. xxx x.x. x.x. xxxx x.x.
O .... .... .... ..x. .... .... .... ....

reggae
K .... .... o... ....
R .... .... o... ....
H x.x. x.x. x.x. x.x.

reggae
K .... o... .... o...
R .... o... .... o...
H xgxg xgxg xgxg xgxg

reggae steppers
K o... o... o... o...
R .... .... o... ..x.
H x.xx x.xx x.xx x.xx

reggae rockers
K o... .... o.x. ....
S .... .... o... ....
H x.x. x.x. x.x. x.x.

ska
K o... .... o... ....
S .... o... .... o...
H x.x. x.x. x.x. x.x.
D ..x. ..x. ..x. ..x.

funk
K o.x. .... ..x. .x..
S .... o..g .g.g o..g
H xxxx xxxx xxxx xxxx

funk
K o..x ..x. ..o. .x..
S .g.. o..g .g.. o.g.
H x.x. x.xx x.x. x.x.
O .... .... .... ..x.

funk
K o... .x.. x.x. ....
S .g.g o.g. .g.g o...
D x.x. x.x. x.x. x.x.
W x... x... x... x...

soul
K o... ..x. o.x. ....
S .... o... .... o...
H x.x. x.x. x.x. x.x.
N x.xx x.xx x.xx x.xx

soul
K o... o.x. o... o.x.
S o... o... o... o...
H x.x. x.x. x.x. x.x.

r&b
K o... ...x ..x. ...x
R .... o... .... o...
H xxxx xxxx xxxx xxxx

r&b
K o..x ..x. .... .x..
C .... o... .... o...
H x.xx x.xx x.xx x.xx
Q ..x. ..x. ..x. ..x.

shuffle
K o. .. o. ..
S .. o. .. o.
H xx xx xx xx

shuffle
K o. .x o. .x
S .. o. .. o.
D x. xx x. xx

shuffle
K o. o. o. o.
S xx ox xx ox
H x. x. x. x.

swing
D x. xx x. xx
P .. x. .. x.
K x. .. .. ..

swing
D x. xx x. xx
P .. x. .. x.
K g. g. g. gx
S .. .g .. g.

swing
D x. xx x. xx
P .. x. .. x.
S .g .. g. .x
K g. g. g. g.

brushes
S x. xg x. xg
P .. x. .. x.
K g. .. g. ..

brushes
S xx xx xx xx
P .. x. .. x.

brushes
S x. xg x. xg
R .. .. .. x.
P .. x. .. x.

bossa
K o. .x o. .x
R x. .x .. x. .. x. .x ..
H ox ox ox ox

bossa
K o. .x o. .x
R .. x. .x .. x. .x .. x.
H ox ox ox ox
Q xx xx xx xx

samba
K x..x o..x x..x o..x
S x.xx .xx. x.xx .xx.
Q xxxx xxxx xxxx xxxx
U .... o... .... o.xx

samba
K x..x o..x
N xgxx xgxx
G x.x. xx.x
U ..x. o...

salsa
V o..x ..x. ..o. x...
U .... ..xx .... ..xx
G .x.. x... .x.. x...
W x.xx x.xx x.xx x.xx

salsa
V ..o. x... o..x ..x.
K .... ..x. .... ..x.
G x.x. xgx. x.x. xgx.
Q x.xx x.xx x.xx x.xx

latin pop
K o... o... o... o...
S ...x ..x. ...x ..x.
H x.x. x.x. x.x. x.x.

latin pop
K o... o... o... o...
S ...o ..o. ...o ..o.
Q xxxx xxxx xxxx xxxx
G ..x. x.x. ..x. x.xx

afrobeat
K o..x ..x. x..x ....
S .... ..x. .... ..x.
H x.xx x.xx x.xx x.xx
G x..x ..x. x.x. x..x

train
K o... o... o... o...
S gxox gxox gxox gxox

train
K o... .... o... ....
S xxox xxox xxox xxox
P ..x. ..x. ..x. ..x.

country
K o... .... o... ....
R .... o... .... o...
H x.x. x.x. x.x. x.x.

country
K o. .. o. ..
S .. o. .. o.
D x. x. x. x.

two-beat
K o... .... o... ....
S ..x. ..x. ..x. ..x.

punk
K o... ..x. o... ..x.
S .... o... .... o...
H x.x. x.x. x.x. x.x.

punk
K o.o. ..o. o.o. ..o.
S .... o... .... o...
O x... x... x... x...

skate punk
K o... o... o... o...
S ..o. ..o. ..o. ..o.
D x... x... x... x...

metal
K oooo oooo oooo oooo
S .... o... .... o...
O x... x... x... x...

metal
K o.oo o.oo o.oo o.oo
S .... o... .... o...
D x.x. x.x. x.x. x.x.

metal
K oo.o o.oo .oo. oo..
S .... o... .... o...
A x... x... x... x...

metal half-time
K oo.. ..oo ...o o...
S .... .... o... ....
O x... x... x... x...

blast
K o.o. o.o. o.o. o.o.
S .o.o .o.o .o.o .o.o
D x.x. x.x. x.x. x.x.

blast
K oooo oooo oooo oooo
S o.o. o.o. o.o. o.o.
A x... x... x... x...

breakbeat
K o.o. .... ..o. ....
S .... o..x .x.. o...
H x.x. x.x. x.x. x.x.

breakbeat
K o.x. .... ..oo .... o.x. .... ..o. ....
S .... o..g .g.. o..g .... o..g .g.. .xo.
D x.x. x.x. x.x. x.x. x.x. x.x. x.x. x.x.

breakbeat
K o..x .... .xo. ....
S .... o... .... o.xx
H xxxx xxxx xxxx xxxx

drum'n'bass
K o... .... ..o. ....
S .... o... .... o...
H x.x. x.x. x.x. x.x.

drum'n'bass
K o... .... ..o. .... o.o. .... ..o. ....
S .... o..g .g.. o... .... o..g ...g o.g.
H xgxg xgxg xgxg xgxg xgxg xgxg xgxg xgxg

dubstep
K o... .... ..x. .... .... .... x... ..x.
S .... .... .... .... o... .... .... ....
H x... x.xx x... xxx. x... x.xx x... xxx.

synthpop
K o... o... o... o...
S .... o... .... o...
H xxxx xxxx xxxx xxxx

synthpop
K o... ..x. o... ....
C .... o... .... o...
H x.xx x.xx x.xx x.xx
W ..x. .... .... x...

electro
K o..o ..o. .... ..o.
S .... o... .... o...
H xxxx xxxx xxxx xxxx
W x..x ..x. ..x. ....

lo-fi
K o... ..x. .x.. ....
R .... o... .... o...
H x.x. x.x. x.x. x.x.

gospel
K o... ..x. x.x. ....
S .... o... .... o..x
N ..x. ..x. ..x. ..x.

ballad
K o... .... ..x. ....
S .... o... .... o...
H x.x. x.x. x.x. x.x.

ballad
K o... .... o... ....
R .... .... o... ....
H x... x... x... x...

bo diddley
K o..o ..o. ..o. o...
L o..o ..o. ..o. o...
N xxxx xxxx xxxx xxxx

tom groove
K o... ..o. o... ..o.
L x.xx .xx. x.xx .xx.
S .... o... .... o...

polka
K o... ....
S .... o...
H x.x. x.x.

polka
K o... o...
S ..x. ..x.

polka
L o... ..x.
V ..x. x...

march
K o... ....
S x.xx x.x.
P ..x. ..x.

march
K o... o...
S ox.x oxxx

cumbia
K o... o...
Q x.xx x.xx
G ..x. ..xx

reel
K o... o...
Q xgxx xgxx

reel
L o.gx ogxg
K o... ..x.

waltz
K o... .... ....
S .... x... x...
H x... x... x...

waltz
K o... .... ....
R .... x... x...
D x... x.x. x.x.

waltz
K o... ..x. ....
S .... .... o...
H x.x. x.x. x.x.

jazz waltz
D x. xx x.
P .. x. x.
K x. .. .x

jazz waltz
D x. x. xx
P .. x. ..
S g. .x ..

three
K o... .... ..x.
S .... .... o...
H xxxx xxxx xxxx

jig
K o.. ...
S ... o..
H xxx xxx

jig
L o.x x.x
V x.. x..

jig
K o.. o..
S ..x ..x
P x.. x..

six-eight ballad
K o.. ..x
S ... o..
H xxx xxx

six-eight ballad
K o.. ... o.x ...
S ... o.. ... o..
D xxx xxx xxx xxx

tarantella
K o.. o..
N oxx oxx

slip jig
K o.. ... ...
S ... x.. x..
H x.x x.x x.x

slip jig
K o.. o.. o..
H xxx xxx xxx

twelve-eight
K o.. ... o.. ...
S ... o.. ... o..
H xxx xxx xxx xxx

twelve-eight
K o.. ..x o.x ...
S ... o.. ... o..
D x.x x.x x.x x.x

afro-cuban
W x.x .xx .x. x.x
U o.. x.x ..x ..x
K o.. ... ..x ...

five
D x. xx x. xx x.
K o. .. .x .. x.
S .. .. .. o. ..

five
K o... ..x. .... o... ....
S .... .... o... .... o...
H x.x. x.x. x.x. x.x. x.x.

seven
K o. .. x. .. x. .. ..
S .. o. .. o. .. o. .x
H xx xx xx xx xx xx xx

seven
K o . . . x . .
S . . o . . o .
H x x x x x x x

six
K o... .... ..x. .... x... ....
S .... .... .... o... .... ..x.
H x.x. x.x. x.x. x.x. x.x. x.x.
"""


def _read(text: str) -> dict[str, tuple[dict[str, str], ...]]:
    found = defaultdict(list)
    for block in text.strip().split("\n\n"):
        name, *lines = block.split("\n")
        found[name].append({line[0]: line[2:] for line in lines})
    return {name: tuple(patterns) for name, patterns in found.items()}


GROOVES = _read(_TEXT)
"""Name to patterns; a pattern maps the letter of a drum to its figure."""


def length_beats(pattern: dict[str, str]) -> int:
    """Return how many beats a pattern lasts: those of its longest line."""
    return max(read_figure(line)[1] for line in pattern.values())
