-- The way from a picture's raw file to the pixels that a sample has: EXIF, scale, then what derived it (pad, flip).
-- x' = a x + b y + c, y' = d x + e y + f, in pixels, a pixel's left edge x and its right edge x + 1.
-- The second six undo it. A child stands here once for each augmentation that made it, `digest` tells which.
with stored as (
    select
        sample_id, dataset, images[1].width as width, images[1].height as height,
        coalesce(images[1].exif_orientation, 1) as turn,
        images[1].source_width::double as w, images[1].source_height::double as h
    from all_samples
    where status = 'ok' and len(images) > 0
),
turned as (
    select
        *, turn between 5 and 8 as swap,
        case when turn in (2, 3, 6, 7) then -1.0 else 1.0 end as sx,
        case when turn in (3, 4, 7, 8) then -1.0 else 1.0 end as sy
    from stored
),
scaled as (
    select *, width / case when swap then h else w end as kx, height / case when swap then w else h end as ky
    from turned
),
raw as (
    select
        sample_id, dataset,
        case when swap then 0.0 else sx * kx end as a, case when swap then sx * kx else 0.0 end as b,
        case when sx < 0 then width::double else 0.0 end as c,
        case when swap then sy * ky else 0.0 end as d, case when swap then 0.0 else sy * ky end as e,
        case when sy < 0 then height::double else 0.0 end as f
    from scaled
),
ways as (
    select sample_id, dataset, cast(null as varchar) as digest, a, b, c, d, e, f from raw
    union all
    select
        k.sample_id, k.dataset, k.digest,
        m[1] * r.a + m[2] * r.d, m[1] * r.b + m[2] * r.e, m[1] * r.c + m[2] * r.f + m[3],
        m[4] * r.a + m[5] * r.d, m[4] * r.b + m[5] * r.e, m[4] * r.c + m[5] * r.f + m[6]
    from (select *, affine as m from children where status = 'ok' and affine is not null) k
    join raw r on r.dataset = k.dataset and r.sample_id = k.parent_id
)
select
    *, e / (a * e - b * d) as inverse_a, -b / (a * e - b * d) as inverse_b,
    (b * f - c * e) / (a * e - b * d) as inverse_c,
    -d / (a * e - b * d) as inverse_d, a / (a * e - b * d) as inverse_e,
    (c * d - a * f) / (a * e - b * d) as inverse_f
from ways
