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
    ("clockwise", "counter-clockwise"),
    ("clockwise", "counter clockwise"),
    ("clockwise", "anti-clockwise"),
    ("clockwise", "anticlockwise"),
    ("左", "右"),
    ("逆时针", "顺时针"),
    ("逆時針", "順時針"),
)
"""Words that change places; where one has several partners, the first pair says what it becomes."""

CHINESE_IDIOMS = (
    *("左右", "右左", "座右铭", "座左铭", "座右銘", "座左銘", "左邻右舍", "右邻左舍", "左鄰右舍", "右鄰左舍"),
    *("左思右想", "右思左想", "左顾右盼", "右顾左盼", "左顧右盼", "右顧左盼", "男左女右", "男右女左"),
    *("左膀右臂", "右膀左臂", "无出其右", "无出其左", "旁门左道", "旁门右道", "意见相左", "意见相右"),
    *("左派", "右派", "左翼", "右翼", "左倾", "右倾", "极左", "极右", "左键", "右键", "左击", "右击"),
)
"""Kept whole: "about", "motto", and pairs that mean the same from both sides; and their mirrors, which none becomes."""

# The tables below are about the bare words left and right, read in the order of `flip_words._decide`.

FIXED_NEXT = {
    "left": frozenset({"overs"}),
    "right": _words(
        "now away way angle angles angled triangle triangles size sizes choice choices answer answers"
        " tool tools time times amount amounts moment track kind kinds thing things click clicks clicking"
        " whale whales conditions temperature combination balance mood proportions"
    ),
}
"""Kept whatever stands before: the right size, at the right moment."""

FIXED_PREV = {
    "left": frozenset(),
    "right": _words("all alright quite that's you're he's she's they're we're mr exactly it's that"),
}
"""Kept whatever stands after: all right, that's right."""

FIXED_TRIPLES = frozenset(
    {("right", "side", "up"), ("right", "of", "way")}
    | {
        ("right", "to", verb)
        for verb in _words("vote work bear life know privacy education freedom remain refuse exist strike")
    }
)
"""Kept with the two words that follow: right side up, the right to vote."""

UNCLEAR_NEXT = frozenset({"direction", "directions", "place", "places"})
"""The right place: the proper one or the one on that side."""

UNCLEAR_TRIPLES = frozenset({(side, "hand", noun) for side in ("left", "right") for noun in ("man", "men")})

UNCLEAR_HYPHEN = frozenset({"wing", "winger", "wingers", "winged", "leaning"})
"""A left-wing party, a plane's left-wing."""

REMAINS = _words("what what's that that's all nothing anything something little much not none any")
"""With these before it (or before its verb) left means remaining, even in `left of`."""

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
    " tilted tilting veering curving bending camera stage screen frame viewer's slightly onto"
)
"""Before these words' left or right is a place."""

PLACE_PREPOSITIONS = _words("on to at from in")
"""Alone before left or right: a place, unless an adverb follows (`going on right behind him`)."""

CONTESTED_NEXT = frozenset({"over", "out", "behind"})
"""After a determiner: on the left over there, but the left over food."""

ADVERB_NEXT = {
    "left": _words(
        "behind alone over open out unattended untouched unfinished off ajar intact blank uneaten vacant"
        " overnight abandoned the a an his her their its my him them it me us you home early town school"
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
        " got getting minute minutes hour hours second seconds day days week weeks time money room space"
        " much many any anything nothing something none few little food pieces slices bites"
    ),
    "right": _words("it just he i they we do does doing done you go goes get gets got getting"),
}
"""Kept after these: he left, five minutes left; get it right."""

JOINERS = _words("and or but then with without & versus vs than plus nor") | {SIDE}
"""As good as the start of a phrase: a dog and left of it."""

UNCLEAR_START = _words("in on with at for to by as from")
"""A phrase that starts `left on the bench` may be either."""

CONTRACTIONS = _words(
    "he's she's it's that's there's who's what's here's where's how's let's everyone's everything's nobody's"
)
"""Not possessives, so no left hand follows."""

WRITING = (
    "says",
    "saying",
    "reads(?! {1,3}(?:an?|the|his|her|their|to|from|in|on|at|by|while|and|as|with|books?|aloud)(?![a-z]))",
    "words?",
    "worded",
    "letters?",
    "letter(?:ing|ed)",
    "texts?",
    "writ(?:es?|ings?|ten)",
    "handwrit(?:ing|ten)",
    "inscri(?:bed|ptions?)",
    "engraved",
    "caption(?:s|ed)?",
    "label(?:s|ed|led|ing|ling)?",
    "slogans?",
    "headlines?",
    "digits?",
    "numerals?",
    "numbered",
    "numbers?(?! {1,3}of(?![a-z]))",
    "(?:number|nr) {0,3}[0-9]{1,9}",
    "no[.] {0,2}[0-9]{1,9}",
    "(?:jersey|player|bus|train|tram|car|route|shirt|truck|taxi|cab|boat|horse|runner|rider|racer) {1,2}#?[0-9]{1,9}",
    "(?:gate|room|flight|platform|channel|exit|highway|interstate|engine|locomotive|page) {1,2}#?[0-9]{1,9}",
    "(?:wearing|displaying|showing) {1,3}(?:an? |the )?[0-9]{1,9}(?! {0,3}[a-z0-9])",
    "(?:jersey|shirt|uniform|bib)s? with {1,3}(?:an? |the )?[0-9]{1,9}",
    "spell(?:s|ed|ing|t)",
    "sign(?<!peace sign)(?<!victory sign)s?(?! (?:of|language)(?![a-z]))",
    "signage",
    "signboards?",
    "signposts?",
    "billboards?",
    "(?:license|licence|number|registration|name) ?plates?",
    "name ?tags?",
    "scoreboards?",
    "bar ?codes?",
    "qr codes?",
    "watermarks?",
    "graffiti",
    "calligraphy",
    "alphabets?",
    "monogram(?:s|med)?",
    "signatures?",
    "autographs?",
    "wrote",
    "calendars?",
)
"""Whole words that name writing, which nobody can read in a mirrored picture (`flip_text`).

Regular expressions over lower-case text. Each begins with a literal, or with a choice of literals, which is
looked for first.
"""

WRITING_ANYWHERE = (
    '"[^"\n]{1,200}+"',
    "(?:“|”|„|«|»|「|」|『|』)",
    "'(?<![0-9a-z_]')[^'\n]{1,60}+'(?![0-9a-z_])",
    "# ?[0-9]",
    ":(?<=[0-9]:)[0-9]{2}",
    " on (?<=[0-9] on )(?:it|him|her|them|(?:the|his|her|its|their) (?:back|jersey|shirt|front|side|tail))(?![a-z])",
    " (?<=[0-9] )(?:bus|tram|train|jersey|shirt|bib)(?![a-z])",
    "(?:写着|写有|字样|文字|字母|数字|标志|标牌|招牌|路牌|车牌|号码|寫著|寫有|字樣|數字|標誌|標牌|車牌|號碼)",
)
"""Quotations, times of day and numbers on things; these need no word around them."""

DIRECTIONAL = (
    "clocks?",
    "(?:wrist|pocket|stop) ?watch(?:es)?",
    "timepieces?",
    "sundials?",
    "speedometers?",
    "maps?",
    "atlas(?:es)?",
    "globes?",
    "compass(?:es)?",
    "logos?",
    "emblems?",
    "insignias?",
    "trademarks?",
    "starboard",
    "port ?side",
    "one[ -]way",
    "(?:turn|keep) (?:left|right)",
    "no (?:left|right) turns?",
    "turn only",
    "sheet music",
    "hand[ -]drive",
)
"""Whole words for what is wrong in a mirror although nobody reads it (`flip_directional`)."""

DIRECTIONAL_ANYWHERE = ("(?:时钟|钟表|地图|徽标|左转|右转|指南针|時鐘|鐘錶|地圖|徽標|左轉|右轉|指南針)",)

COORDINATES_ANYWHERE = (
    "\\[ {0,3}[0-9.]{1,9}(?: {0,3}, {0,3}[0-9.]{1,9}){3} {0,3}\\]",
    "<(?:box|ref|pred|/box|/ref|/pred)>",
)
"""Box numbers left in the words: a flip would leave them behind (`flip_coordinates`)."""

UNCLEAR = (
    "(?:lft|rgt|rght|rt|letf|rigth|rihgt)",
    "(?:l|r)[.]? (?:side|hand|arm|corner|guy|man|woman|girl|boy|person|one|half|edge)",
    "(?:on|top|bottom|upper|lower|far|the) [lr](?! ?[&'.]? ?[a-z0-9])",
)
"""Whole words that are short for left and right, or such words misspelled (`flip_unclear`)."""

UNCLEAR_ANYWHERE = ("(?:left|right)[0-9_]", "(?:left|right)(?:(?<=[0-9_]left)|(?<=[0-9_]right))")
"""Left and right grown together with a digit or an underscore, so that they are no words."""
