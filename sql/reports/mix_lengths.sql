-- How long the draws of one plan are, those that no pack could hold with them: tokens, vision tiles, how many.
select n_text_tok + n_img_tok as tokens, n_tiles as tiles, count(*) as draws
from mixed
where mix = $mix and digest = $digest and (reason is null or reason = 'too_long')
group by all
order by all
