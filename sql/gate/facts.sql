-- What each candidate of a mix is told by: its pictures, their names and the words over them, in order of `place`.
-- `parents` has the pictures that derived samples were made of. Boxes count as the same within a hundredth.
with named as (
    select
        place,
        case when json_valid(source_meta) then source_meta end as meta
    from candidates
)
select
    c.place,
    list_filter(
        list_concat(
            [c.source_key, c.url],
            json_extract_string(n.meta, ['$.image', '$.file_name', '$.image_path', '$.coco_url']),
            case when n.meta like '%[%' then n.meta ->> '$.image[*]' end
        ),
        lambda name: name is not null
    ) as names,
    case when c.url is null then [] else [c.url] end as urls,
    list_transform(coalesce(c.images, []), lambda image: image.sha256) as shas,
    list_transform(coalesce(p.images, c.images, []), lambda image: image.sha256) as origins,
    list_transform(list_concat(c.images, p.images), lambda image: image.phash) as hashes,
    array_to_string(list_transform(c.transforms, lambda step: step.name), '+') as chain,
    md5(
        to_json({
            'text': case when coalesce(len(c.conversations), 0) = 0 then c.text end,
            'turns': c.conversations,
            'regions': list_transform(c.regions, lambda r: {
                'words': [r.phrase, r.turn::varchar, r.start::varchar, r."end"::varchar],
                'boxes': list_transform(r.boxes, lambda b: [
                    round(b.x0, 2)::varchar, round(b.y0, 2)::varchar, round(b.x1, 2)::varchar, round(b.y1, 2)::varchar
                ])
            })
        })::varchar
    ) as words,
    case when coalesce(len(c.images), 0) = 0 then n.meta ->> '$.image' end as shown,
    coalesce(len(c.conversations), 0) > 0 or coalesce(trim(c.text), '') <> '' as has_words
from candidates c
join named n on n.place = c.place
left join parents p on p.place = c.place
order by c.place
