-- Candidates of the same picture, byte for byte, moved alike, with the same words as one before them, and that one.
-- Boxes that differ by less than a hundredth count as the same; what has neither picture nor words is not compared.
select f.place, g.first
from facts f
join (
    select pixels, chain, words, min(place) as first
    from facts
    where pixels is not null
    group by all
    having count(*) > 1
) g on g.pixels = f.pixels and g.chain = f.chain and g.words = f.words
where g.first < f.place
order by f.place
