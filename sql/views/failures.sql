-- Failed rows by dataset and cause.
select dataset, error, count(*) as rows, any_value(error_detail) as example
from all_samples
where status <> 'ok'
group by all
