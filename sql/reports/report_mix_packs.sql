-- The first packs of one mix: tokens of each sample in its slot.
select pack, component, n_text_tok + n_img_tok as tokens
from mixed
where mix = $mix and digest = $digest and pack < $limit
order by pack, slot
