//! The number of series is bounded, whatever guests and callers invent.

use super::*;

#[actix_rt::test]
async fn a_target_has_at_most_sixteen_operations_and_the_others_are_summed() {
    with_host_of(builder(), async |host| {
        let key = start(&host, &sign("tiny_echo")).await;
        for number in 0..500 {
            host.call_actor(&key, &format!("Operation{number}"), b"").await.unwrap();
        }
        host.call_actor(&key, &"x".repeat(10_000), b"").await.unwrap();
        let target = label(&key, "tiny_echo");
        let series = Series::of(&host);
        let own =
            series.0.keys().filter(|series| series.starts_with(&format!("wasmcloud_calls_total{{target=\"{target}\"")));
        assert_eq!(own.count(), 17);
        assert_eq!(series.get(&call_series(&target, "Operation15", "ok")), Some(1.0));
        assert_eq!(series.get(&call_series(&target, "other", "ok")), Some(485.0));
        assert_eq!(series.calls(&target, "ok"), 501.0);
    })
    .await;
}

#[actix_rt::test]
async fn operations_beyond_the_bound_of_a_metric_are_summed_and_the_sum_only_grows() {
    with_host_of(builder(), async |host| {
        let mut keys = Vec::new();
        for _ in 0..70 {
            keys.push(start(&host, &sign("tiny_echo")).await);
        }
        for key in &keys {
            for number in 0..16 {
                host.call_actor(key, &format!("Operation{number}"), b"").await.unwrap();
            }
        }
        let metrics = host.metrics();
        let read = || Series::read(&metrics.encode().unwrap());
        let series = read();
        let calls =
            |series: &Series| series.0.keys().filter(|series| series.starts_with("wasmcloud_calls_total{")).count();
        assert_eq!(calls(&series), 1_000);
        let sum: f64 = series
            .0
            .iter()
            .filter(|(series, _)| series.starts_with("wasmcloud_calls_total{"))
            .map(|(_, calls)| calls)
            .sum();
        assert_eq!(sum, 70.0 * 16.0);
        let histograms =
            series.0.keys().filter(|series| series.starts_with("wasmcloud_call_duration_seconds_")).count();
        assert!(histograms <= 1_000, "{histograms}");
        assert!(series.0.keys().any(|series| series == "wasmcloud_call_duration_seconds_count{target=\"other\"}"));

        let before = series.calls("other", "ok");
        assert!(before > 0.0);
        for key in &keys {
            host.stop_actor(key).await.unwrap();
        }
        assert_eq!(read().calls("other", "ok"), before);
    })
    .await;
}

#[actix_rt::test]
async fn hostile_names_are_harmless_in_labels() {
    with_host_of(builder(), async |host| {
        let hostile = sign("tiny_echo").claims(|claims| {
            let metadata = claims.metadata.as_mut().unwrap();
            metadata.name = Some(format!("\"}} 1\nwasmcloud_forged 1 \\ \u{202e}{}", "long ".repeat(2_000)));
        });
        let key = start(&host, &hostile).await;
        host.call_actor(&key, "\"} 1\nwasmcloud_forged 1", b"").await.unwrap();
        let text = host.metrics().encode().unwrap();
        assert!(text.lines().all(|line| line.len() < 400 && !line.starts_with("wasmcloud_forged")), "{text}");
        let series = Series::read(&text);
        let begin = format!("wasmcloud_calls_total{{target=\"{} __ 1_wasmcloud_forged 1 ", &key[..12]);
        let own = series.0.iter().filter(|(series, _)| series.starts_with(&begin)).map(|(_, calls)| calls);
        assert_eq!(own.sum::<f64>(), 1.0);
    })
    .await;
}
