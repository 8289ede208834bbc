-- Where a sample stands in the last run of each mix, by itself or merged with others.
select m.mix, m.component, m.recipe, m.draw, m.step, m.rank, m.pack, m.slot, m.n_text_tok, m.n_img_tok, m.reason
from runs r
join drawn m on m.mix = r.job and m.digest = r.digest
where r.latest and m.member = $id
order by m.mix, m.component, m.draw
