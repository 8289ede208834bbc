"""The word lists of the left/right flip: what changes, what stays, what is refused.

`SIDE` stands for either of left and right, so that a list means the same before and after a flip.
"""


def _words(words: str) -> frozenset[str]:
    return frozenset(words.split())


SIDE = "left|right"

PAIRS = (
    ("left", "right"),
    ("leftmost", "rightmost"),
    ("leftward", "rightward"),
    ("leftwards", "rightwards"),
    ("lefthand", "righthand"),
    ("lefthanded", "righthanded"),
    ("leftside", "rightside"),
    ("lefty", "righty"),
    ("topleft", "topright"),
    ("bottomleft", "bottomright"),
    ("upperleft", "upperright"),
    ("lowerleft", "lowerright"),
    ("farleft", "farright"),
    ("clockwise", "counterclockwise"),
    ("左", "右"),
    ("逆时针", "顺时针"),
    ("逆時針", "順時針"),
)
"""Words that change places; every spelling of counterclockwise becomes clockwise."""

_CHINESE_IDIOMS = (
    *("左右", "座右铭", "座右銘", "左邻右舍", "左鄰右舍", "左思右想", "左顾右盼", "左顧右盼", "左膀右臂", "无出其右"),
    *("旁门左道", "意见相左", "左支右绌", "左拥右抱", "左冲右突", "左躲右闪", "左摇右晃", "左摇右摆", "左派", "右派"),
    *("左轮手枪", "左轮枪", "左輪手槍"),
)
CHINESE_IDIOMS = tuple(
    dict.fromkeys(
        mirror for idiom in _CHINESE_IDIOMS for mirror in (idiom, idiom.translate({0x5DE6: "右", 0x53F3: "左"}))
    )
)
"""Kept whole: "about", "motto", "revolver", and pairs that mean the same from both sides; and their mirrors, which
none becomes.
"""

# The tables below are about the bare words left and right, read in the order of `flip_sides._decide`.

FIXED_NEXT = {
    "left": frozenset({"overs"}),
    "right": _words(
        "now away angle angles angled triangle triangles size sizes choice choices answer answers time times amount"
        " amounts moment kind kinds click clicks clicking conditions temperature combination balance mood proportions"
        " honorable honourable reverend"
    ),
}
"""Kept whatever stands before: the right size, at the right moment."""

UNCLEAR_AFTER_THE = _words("angle angles triangle triangles")
"""A right angle is one of 90 degrees, the right angle may be the one on that side."""

FIXED_PREV = {
    "left": frozenset(),
    "right": _words("all alright quite that's you're he's she's they're we're mr exactly it's that"),
}
"""Kept before the end of a phrase and before `AFTER_FIXED`: all right, that's right."""

AFTER_FIXED = _words(
    "and or but so if because when while as then to for in on at with by from about is are was were who which that"
    " today yesterday tonight again alone there here"
)
"""What may follow a left or right that stays: he left for work. A noun there makes it unclear (`that right dog`)."""

PRONOUNS = _words("i you he she it we they it's you're he's she's that that's")
"""Unclear after a preposition of place: `to it's right` means `its`."""

FIXED_TRIPLES = frozenset(
    {("right", "side", "up")}
    | {("right", "of", noun) for noun in _words("way passage return appeal refusal")}
    | {
        ("right", "to", verb)
        for verb in _words("vote work bear life know privacy education freedom remain refuse exist strike")
    }
)
"""Kept with the two words that follow: right side up, the right to vote."""

UNCLEAR_NEXT = _words(
    "direction directions place places path paths way ways track tracks whale whales ingredient ingredients decision"
    " decisions idea ideas move call attitude approach method methods technique mindset fit fitting exposure pressure"
    " speed pace procedure recipe mix blend match touch atmosphere context perspective information skills environment"
    " candidate job career reason reasons question questions solution solutions treatment diet nutrients nutrition"
    " parties politics politician politicians extremist extremists activist activists protester protesters protestors"
    " supporters populist nationalist nationalists ideology government movement"
)
"""The right place, the right decision: the proper one or the one on that side; right politicians."""

PROPER_NEXT = _words(
    "thing things stuff tool tools spot spots gear equipment material materials supplies dress dresses outfit outfits"
    " clothes clothing attire apparel wear footwear accessory accessories lens lenses lighting light setting settings"
    " form posture shade tone color colors colour colours pitch key keys level order note notes partner product"
    " products food foods bulb weapon"
)
"""After an article alone these may be the proper ones: the right gear, but the top right gear."""

UNCLEAR_TRIPLES = frozenset(
    (side, noun, person)
    for side in ("left", "right")
    for noun, people in {
        "hand": "man men",
        "wing": "party parties politics politician politicians extremist extremists group groups activist activists"
        " protester protesters protestors supporters government media leader leaders populist ideology",
    }.items()
    for person in people.split()
)
"""A right hand man, a left wing party."""

CHOOSING = _words(
    "wear wears wearing wore choose chooses choosing chose chosen select selects selecting selected make makes making"
    " made do does doing did know knows knowing need needs ensure ensures ensuring say says buy buying"
)
"""With these and an article before it right may mean proper: wearing the right boots."""

UNCLEAR_HYPHEN = frozenset({"wing", "winger", "wingers", "winged", "leaning"})
"""A left-wing party, a plane's left-wing."""

REMAINS = _words("what what's that that's all nothing anything something little much not none any")
"""With these before it (or before its verb) left means remaining; `what is left of the tree` may be either."""

AMOUNTS = _words("part most half portion")
"""What is eaten or left: she left part of the cake; the left part of the cake."""

AFTER_AMOUNT = _words("of the a an this that his her its their my our your it them")

_REMAINING = _words(
    "minute minutes hour hours second seconds day days week weeks time money room space much many any anything nothing"
    " something none few little food pieces slices bites"
)
REST = _REMAINING | _words(
    "piece slice bite bit bits crumbs half portion portions part parts quarter chunk chunks scraps some more most"
    " enough lot lots"
)
"""What may remain: before `left of` it is unclear (a few slices left of the pizza)."""

TRACES = _words(
    "print prints mark marks track tracks trail trails impression impressions stain stains smudge smudges box"
    " boxes dishes"
)
"""With a part before them what someone leaves: the dog left paw prints."""

STATES = _words("open ajar closed unlocked locked uneaten unattended untouched unfinished empty blank behind bare")
"""With a part before them how someone leaves it: he left window open."""

PLURALS = _words("sides hands feet arms legs eyes ears shoulders knees paws wings corners seats field")
"""Parts that someone leaves without an article: the players left field."""

SUBJECTS = _words("i you he she we they who never already recently just")
"""After these left is more likely a verb, even before a part."""

PARTS = _words(
    "side sides hand hands handed handers hander footed foot feet arm arms leg legs eye eyes ear ears"
    " shoulder shoulders knee knees elbow wrist ankle cheek thigh hip paw paws wing wings horn tusk"
    " hoof breast temple nostril thumb fist forearm heel palm corner corners edge half portion part"
    " section end most lane field fielder panel image picture photo quadrant margin wall window door"
    " wheel headlight taillight tire mirror pocket sleeve glove shoe sock boot bank third column row"
    " seat seats"
)
"""What has a left and a right one: decides against the verb whatever stands before."""

DETERMINERS = _words(
    "the a an this each every his her its their your my our whose upper lower top bottom front back"
    " rear middle center centre mid far extreme very immediate opposite other both either outer inner"
    " near nearest closest second third fourth fifth 1st 2nd 3rd 4th 5th upward downward towards"
    " toward facing looking pointing pointed heading headed moving turned turning turns leaning leans"
    " entire whole tilted tilting veering curving bending camera stage screen frame viewer's slightly onto"
)
"""Before these words' left or right is a place."""

PLACE_PREPOSITIONS = _words("on to at from in")
"""Alone before left or right: a place, unless an adverb follows (`going on right behind him`)."""

CONTESTED_NEXT = frozenset({"over", "out", "behind"})
"""After a determiner: on the left over there, but the left over food."""

CONTESTED_PREV = _words("this each other both either second third fourth fifth 1st 2nd 3rd 4th 5th")
"""These may be who left: the other left the room; contested before every adverb of left."""

ARTICLES = _words("the a an this every each his her its their your my our whose")

BEFORE_SIDE = _words(
    "on to at from in towards toward near along by into onto upon off for around about and between across past over"
    " with is are"
)
"""Before `the right of` and `the right to`: a place, not what one is entitled to."""

ADVERB_NEXT = {
    "left": _words(
        "behind alone over open out unattended untouched unfinished off ajar intact blank uneaten vacant"
        " overnight abandoned the a an his her their its my him them it me us our your you home early town school"
        " work because when while before after during until without"
    ),
    "right": _words(
        "before after when where here there then up down next behind beside besides above below beneath"
        " underneath under inside outside through past off over into out along against across around"
        " between among amid beyond near by alongside until about as at this that back ahead since"
    ),
}
"""Kept before these: left behind, left the room; right next to, right after."""

ADVERB_PAIRS = frozenset(
    {("in", "front"), ("on", "top"), ("on", "time"), ("in", "between")}
    | {("in", "the"), ("to", "the"), ("on", "the"), ("from", "the")}
)
"""After `right`, kept: right in front of, right in the middle, right to the top."""

VERB_PREV = {
    "left": _words(
        "has have had having he she they we who i you it never already recently he's she's who's they've"
        " we've i've you've who've hasn't haven't hadn't be been being was were wasn't weren't get gets"
        " got getting"
    )
    | _REMAINING,
    "right": _words("it just he i they we do does doing done you go goes get gets got getting"),
}
"""Kept after these, before the end of a phrase and `AFTER_FIXED`: he left, five minutes left; get it right."""

JOINERS = _words("and or but then with without & versus vs than plus nor") | {SIDE}
"""As good as the start of a phrase: a dog & left of it."""

VERB_JOINERS = _words("and or but then nor")
"""After these left may be a second verb (ate and left crumbs), unless left or right stands before."""

UNCLEAR_START = _words("in on with at for to by as from")
"""A phrase that starts `left on the bench` may be either."""

CONTRACTIONS = _words(
    "he's she's it's that's there's who's what's here's where's how's let's everyone's everything's nobody's"
)
"""Not possessives, so no left hand follows."""
