-- Every so many packs of one mix: tokens of each sample in its slot.
select pack // $every as strip, component, n_text_tok + n_img_tok as tokens
from mixed
where mix = $mix and digest = $digest and pack % $every = 0
order by pack, slot
