-- The samples of one mix in order of pack and slot, as an exporter takes them.
select m.component, m.pack, m.n_text_tok + m.n_img_tok as length, c.*
from mixed m
join curated c on c.job = m.job and c.recipe = m.recipe and c.sample_id = m.sample_id
where m.digest = $digest and m.pack is not null
order by m.pack, m.slot
