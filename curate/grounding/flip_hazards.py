"""The patterns of words that no flip can put right: writing, clocks, box numbers, abbreviations.

Regular expressions over lower-case text. Each begins with a literal, or with a choice of literals, which is
looked for first. `*_ANYWHERE` need no word's border around them.
"""

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
"""Whole words that name writing, which nobody can read in a mirrored picture (`flip_text`)."""

WRITING_ANYWHERE = (
    '"[^"\n]{1,200}+"',
    "(?:“|”|„|«|»|「|」|『|』)",
    "'(?<![0-9a-z_]')[^'\n]{1,60}+'(?![0-9a-z_])",
    "# ?[0-9]",
    ":(?<=[0-9]:)[0-9]{2}",
    " on (?<=[0-9] on )(?:it|him|her|them|(?:the|his|her|its|their) (?:back|jersey|shirt|front|side|tail))(?![a-z])",
    " (?<=[0-9] )(?:bus|tram|train|jersey|shirt|bib)(?![a-z])",
    "(?:＂|《|》|〈|〉|﹁|﹂|﹃|﹄|﹏)",
    "‘[^‘’\n]{1,60}+’(?![0-9a-z_])",
    "(?:写|寫)(?!真|生|实|實|意)",
    "字(?<!十字)(?<!人字)(?<!丁字)(?!塔)",
    "(?:刻着|刻著|刻有|印着|印著|印有|标着|標著|标有|標有|题词|題詞|文本|数码|标志|標誌|标语|標語|标题|標題|标签|標籤|口号|口號)",
    "(?:牌|匾|看板|横幅|橫幅|告示|春联|春聯|对联|對聯|书法|書法|涂鸦|塗鴉|水印|菜单|菜單|日历|日曆|挂历|掛曆|拼音)",
    "(?:二维码|二維碼|条形码|條形碼|条码|條碼|号码|號碼|编号|編號|英文|中文|汉语|漢語|单词|單詞|词语|詞語|诗句|詩句)",
    "(?:号|號)(?:(?<=[0-9０-９一二三四五六七八九十零]号)|(?<=[0-9０-９一二三四五六七八九十零]號))",
    "(?:点|點|路)(?:(?<=[0-9０-９]点)|(?<=[0-9０-９]點)|(?<=[0-9０-９]路))",
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
    "hand[ -](?:drive|traffic)",
    "(?:drive|drives|driven|driving|drove) on (?:the )?(?:left|right)",
)
"""Whole words for what is wrong in a mirror although nobody reads it (`flip_directional`)."""

DIRECTIONAL_ANYWHERE = (
    "(?:钟|鐘)(?<!分[钟鐘])(?<!秒[钟鐘])(?!情|爱|愛|头|頭)",
    "(?:手表|腕表|怀表|懷表|秒表|钟表|表盘|表盤|仪表|儀表|速度表|里程表|錶|日晷|罗盘|羅盤|指南针|指南針)",
    "(?:地图|地圖|地球仪|地球儀|导航|導航|徽|商标|商標|图标|圖標|标识|標識|乐谱|樂譜|五线谱|五線譜)",
    "(?:左转|右转|左轉|右轉|左拐|右拐|左舵|右舵|左驾|右驾|左駕|右駕|左舷|右舷)",
    "(?:单行道|單行道|单行线|單行線|单向|單向)",
    "靠(?:左|右)侧?側?(?:行|走|驾|駕|通)",
)

_NUMBER = r"\s{0,9}[0-9.e+-]{1,40}\s{0,9}"

COORDINATES_ANYWHERE = (
    rf"\[{_NUMBER}(?:,{_NUMBER}){{3}}[\];]",
    r"\[ {0,3}[0-9.e+-]{1,40}(?: {1,3}[0-9.e+-]{1,40}){3} {0,3}[\];]",
    rf"\({_NUMBER},{_NUMBER}[,)]",
    r"<[|]/?(?:box|object_ref|ref|quad|points?|poly|det|grounding|loc|seg|coord?)(?![a-z])",
    r"</?(?:bbox|box|ref|pred|quad|points?|poly(?:gon)?|loc|seg|coords?|coor|patch_index|bin|phrase|x|y)[ _]?[0-9]{0,6}"
    "[ />]",
    r"<[0-9]{1,4}> {0,3}<[0-9]",
)
"""Box numbers and location tokens left in the words: a flip would leave them behind (`flip_coordinates`).

Written as Shikra, Qwen-VL (both generations), Kosmos-2, PaliGemma, OFA, Florence-2, MiniGPT-v2 and Molmo write them.
"""

UNCLEAR = (
    "(?:lft|rgt|rght|rt|letf|rigth|rihgt)",
    "(?:l|r)[.]? (?:side|hand|arm|corner|guy|man|woman|girl|boy|person|one|half|edge)",
    "(?:on|top|bottom|upper|lower|far|the) [lr](?! ?[&'.]? ?[a-z0-9])",
    "(?:left|right) (?:hand in hand|arm in arm|side by side)",
    "(?:cw|ccw)",
)
"""Whole words that are short for left and right, or such words misspelled (`flip_unclear`)."""

UNCLEAR_ANYWHERE = (
    "(?:left|right)[0-9_]",
    "(?:left|right)(?:(?<=[0-9_]left)|(?<=[0-9_]right))",
    " in the (?:(?<= is in the )|(?<= are in the )|(?<= was in the )|(?<= were in the )|(?<= be in the )"
    "|(?<='s in the ))(?:left|right)(?! {0,3}(?!and |but |because |when |to )[a-z(-])",
    "(?:左翼|右翼|左倾|右倾|左傾|右傾|极左|极右|極左|極右|左键|右键|左鍵|右鍵|左击|右击|左擊|右擊)",
    "(?:男左女右|男右女左|女左男右|女右男左)",
    "(?:左|右)(?:轮(?!手枪|枪)|輪(?!手槍)|先生|小姐|女士|宗棠|传(?!球)|傳(?!球)|营|營|权|權|丘明)",
    "(?:左右|右左)[^\n。！？!?]{0,16}?(?:分别|分別|依次)",
)
"""Left and right grown together with a digit or an underscore; `in the right` for correct; Chinese words that are
about politics, mice and names, or about the side.
"""
