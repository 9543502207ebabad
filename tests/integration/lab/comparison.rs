//! Comparisons of reports that were made by experiments.

use serde_json::Value;

use super::{Ended, laboratory, plan, report_of_page, run};

#[test]
fn reports_are_compared_beyond_chance() {
    let place = laboratory();
    place.write("fast.yaml", plan("name: callers, calls: 60", "runs: 3"));
    place.write("again.yaml", plan("name: callers, calls: 60", "runs: 3"));
    let slow = "runs: 3\nfaults: [{actor: echo, crash: {every: 10}, delay: {from: 30ms, to: 31ms}}]";
    place.write("slow.yaml", plan("name: callers, calls: 20", slow));
    for name in ["fast", "again", "slow"] {
        let Ended { code, errors, .. } =
            run(&place, &format!("lab run {name}.yaml --out {name}.html --json {name}.json"));
        assert_eq!((code, errors.as_str()), (0, ""));
    }
    // The machine may be busy meanwhile: what is no more than ten times as slow is the same here.
    let same = run(&place, "lab compare fast.html again.json --threshold 1000 --fail-if-worse");
    assert_eq!(same.code, 0, "{}", same.errors);
    assert!(!same.output.contains("differs:") && same.output.contains("no clear difference"), "{}", same.output);
    assert!(!same.output.contains("WORSE") && !same.output.contains("better"), "{}", same.output);
    assert!(same.output.contains("0 of 180"), "{}", same.output);

    let worse = run(&place, "lab compare fast.html slow.html --out difference.html --fail-if-worse");
    assert_eq!(worse.code, 1, "{}", worse.output);
    assert!(worse.errors.contains("figures are worse"), "{}", worse.errors);
    assert!(worse.output.contains("WORSE") && worse.output.contains("the plan differs"), "{}", worse.output);
    let page = report_of_page(&std::fs::read_to_string(place.path("difference.html")).unwrap());
    assert_eq!(page["reports"].as_array().unwrap().len(), 2);
    let p50 = page["rows"].as_array().unwrap().iter().find(|row| row["measure"] == "p50").unwrap().clone();
    assert_eq!(p50["verdict"], "worse");
    let failed = page["rows"].as_array().unwrap().iter().find(|row| row["measure"] == "failed").unwrap().clone();
    let figures = [&failed["before"], &failed["after"], &failed["verdict"]];
    assert_eq!(figures, ["0 of 180", "6 of 60", "worse"]);
    assert!(p50["ratio"]["low"].as_f64().unwrap() > 1.0);

    let better = run(&place, "lab compare slow.json fast.json --json --fail-if-worse");
    assert_eq!(better.code, 0, "{}", better.errors);
    let listed: Value = serde_json::from_str(&better.output).unwrap();
    assert!(listed["rows"].as_array().unwrap().iter().any(|row| row["verdict"] == "better"), "{listed}");
}
