-- Every sample of every dataset, with its first picture as plain columns.
select
    sample_id, dataset, shard, row, source_key, status, error, error_detail, url, attempts, fetched_at,
    images[1].member as member, images[1].offset as "offset", images[1].size as size,
    images[1].sha256 as sha256, images[1].phash as phash, images[1].format as format,
    images[1].width as width, images[1].height as height,
    images[1].source_width as source_width, images[1].source_height as source_height,
    images[1].exif_orientation as exif_orientation,
    len(images) as image_count, text, conversations, regions, relations, source_meta, images
from all_samples
