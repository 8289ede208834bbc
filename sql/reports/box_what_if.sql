-- What good_boxes and box_quality would keep at other limits, from the scores alone: nothing is run again.
-- One row per setting; a limit that is null is off. `alone` tries one limit, `joint` the five of good_boxes together,
-- `none` no limit: whatever has no inverted box. Shares are of the scored samples of a dataset, by any filter's verdict.
-- Undefined and absent measures pass, as in the filters. Without scores of box_stats there are no rows.
with measures as (
    unpivot (select sample_id, columns(* exclude (sample_id, scores))::double from box_stats)
    on columns(* exclude (sample_id)) into name measure value value
),

facts as (
    -- min: two sets of options may have scored one sample.
    select
        sample_id,
        min(value) filter (measure = 'inverted_boxes') as inverted,
        nullif(min(value) filter (measure = 'min_box_area'), 'nan') as min_area,
        nullif(min(value) filter (measure = 'max_box_area'), 'nan') as max_area,
        nullif(min(value) filter (measure = 'min_box_score'), 'nan') as min_score,
        nullif(min(value) filter (measure = 'max_out_of_frame'), 'nan') as max_out_of_frame,
        nullif(min(value) filter (measure = 'max_duplicate_iou'), 'nan') as max_duplicate_iou,
        nullif(min(value) filter (measure = 'max_cross_phrase_iou'), 'nan') as max_cross_iou,
        nullif(min(value) filter (measure = 'whole_picture_boxes'), 'nan') as max_whole,
        nullif(min(value) filter (measure = 'min_box_side_px'), 'nan') as min_side,
        nullif(min(value) filter (measure = 'max_box_aspect'), 'nan') as max_aspect
    from measures
    group by sample_id
),

scored as (
    select s.dataset, f.*
    from all_samples s
    join facts f using (sample_id)
    where s.status = 'ok'
),

totals as (
    select dataset, count(*) as samples, count(*) filter (coalesce(inverted, 0) = 0) as sound
    from scored
    group by dataset
),

alone_limits(name, below, tried) as (
    values
    ('min_area', true, [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05]),
    ('max_area', false, [0.5, 0.7, 0.8, 0.9, 0.95, 0.99]),
    ('min_score', true, [0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.88, 0.9, 0.95]),
    ('max_out_of_frame', false, [0.0, 0.01, 0.02, 0.05, 0.1, 0.2]),
    ('max_duplicate_iou', false, [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99]),
    ('max_cross_iou', false, [0.5, 0.7, 0.8, 0.9, 0.95, 0.99]),
    ('max_whole', false, [0.0, 1.0, 2.0]),
    ('min_side', true, [2.0, 4.0, 8.0, 16.0, 32.0, 64.0]),
    ('max_aspect', false, [2.0, 3.0, 5.0, 10.0, 20.0])
),

measured as (
    -- Back to one row per measure, of the sound ones; those that are null are dropped, and pass.
    unpivot (select * exclude (sample_id, inverted) from scored where coalesce(inverted, 0) = 0)
    on columns(* exclude (dataset)) into name name value value
),

alone as (
    select
        t.dataset, l.name, l.threshold,
        t.sound - count(*) filter (if(l.below, m.value < l.threshold, m.value > l.threshold)) as kept
    from totals t
    cross join (select name, below, unnest(tried)::double as threshold from alone_limits) l
    left join measured m on m.dataset = t.dataset and m.name = l.name
    group by t.dataset, t.sound, l.name, l.threshold
),

steps as (
    -- From off to strict; a sample's level is how many of the steps it passes.
    select
        [null, 0.001, 0.005]::double[] as min_area,
        [null, 0.95, 0.8]::double[] as max_area,
        [null, 0.65, 0.75]::double[] as min_score,
        [null, 0.05, 0.01]::double[] as max_out_of_frame,
        [null, 0.95, 0.8]::double[] as max_duplicate_iou
),

levels as (
    select
        dataset,
        len(list_filter(steps.min_area, lambda t: coalesce(s.min_area >= t, true))) as a,
        len(list_filter(steps.max_area, lambda t: coalesce(s.max_area <= t, true))) as b,
        len(list_filter(steps.min_score, lambda t: coalesce(s.min_score >= t, true))) as c,
        len(list_filter(steps.max_out_of_frame, lambda t: coalesce(s.max_out_of_frame <= t, true))) as d,
        len(list_filter(steps.max_duplicate_iou, lambda t: coalesce(s.max_duplicate_iou <= t, true))) as e,
        count(*) as samples
    from scored s, steps
    where coalesce(s.inverted, 0) = 0
    group by all
),

grid as (
    select t.dataset, a.a, b.b, c.c, d.d, e.e
    from totals t, range(1, 4) a(a), range(1, 4) b(b), range(1, 4) c(c), range(1, 4) d(d), range(1, 4) e(e)
),

joint as (
    select
        g.dataset,
        steps.min_area[g.a] as min_area, steps.max_area[g.b] as max_area, steps.min_score[g.c] as min_score,
        steps.max_out_of_frame[g.d] as max_out_of_frame, steps.max_duplicate_iou[g.e] as max_duplicate_iou,
        coalesce(sum(l.samples), 0)::bigint as kept
    from grid g
    cross join steps
    left join levels l
        on l.dataset = g.dataset and l.a >= g.a and l.b >= g.b and l.c >= g.c and l.d >= g.d and l.e >= g.e
    group by all
),

settings as (
    select dataset, 'none' as kind, sound as kept from totals
    union all by name
    select
        dataset, 'alone' as kind, kept,
        if(name = 'min_area', threshold, null) as min_area,
        if(name = 'max_area', threshold, null) as max_area,
        if(name = 'min_score', threshold, null) as min_score,
        if(name = 'max_out_of_frame', threshold, null) as max_out_of_frame,
        if(name = 'max_duplicate_iou', threshold, null) as max_duplicate_iou,
        if(name = 'max_cross_iou', threshold, null) as max_cross_iou,
        if(name = 'max_whole', threshold, null) as max_whole,
        if(name = 'min_side', threshold, null) as min_side,
        if(name = 'max_aspect', threshold, null) as max_aspect
    from alone
    union all by name
    select *, 'joint' as kind from joint
)

select
    dataset, kind, min_area, max_area, min_score, max_out_of_frame, max_duplicate_iou,
    max_cross_iou, max_whole, min_side, max_aspect,
    kept, t.samples, round(kept / t.samples, 4) as share
from settings
join totals t using (dataset)
order by
    dataset, kind = 'joint', kind = 'alone',
    min_area nulls last, max_area nulls last, min_score nulls last, max_out_of_frame nulls last,
    max_duplicate_iou nulls last, max_cross_iou nulls last, max_whole nulls last, min_side nulls last,
    max_aspect nulls last
