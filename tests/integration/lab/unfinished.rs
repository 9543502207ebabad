//! Experiments that take long must not be lost: what was measured is reported, whatever fails afterwards.

use std::fs;

use super::server::Server;
use super::{Ended, laboratory, report, report_of_page, run};

/// A plan with a load on a server, which decides when the calls end.
fn plan(server: &Server, rest: &str) -> String {
    format!("manifest: echo.yaml\nloads: [{{name: requests, http: '{}', calls: 10}}]\n{rest}\n", server.url("/"))
}

#[test]
fn the_runs_before_one_that_fails_are_reported() {
    let place = laboratory();
    let module = place.path("echo.wasm");
    // The first run has read the module, and the second one will miss it.
    let server = Server::start_and(move || fs::remove_file(module).unwrap());
    place.write("plan.yaml", plan(&server, "runs: 3\nexpect: {calls: 10}"));
    let Ended { code, output, errors } = run(&place, "lab run plan.yaml --out page.html --json figures.json");
    assert_eq!(code, 1, "{output}");
    assert!(errors.contains("run 2 of 3 could not be carried out") && errors.contains("echo.wasm"), "{errors}");
    assert!(output.contains("The experiment was not finished: run 2 of 3"), "{output}");
    assert!(output.contains("The report is in page.html"), "{output}");
    let figures = report(&place, "figures.json");
    assert_eq!(figures["runs"].as_array().unwrap().len(), 1);
    assert_eq!(figures["runs"][0]["loads"][0]["calls"], 10);
    assert_eq!(figures["interrupted"], false);
    assert!(figures["failure"].as_str().unwrap().contains("run 2 of 3"), "{}", figures["failure"]);
    assert_eq!(report_of_page(&fs::read_to_string(place.path("page.html")).unwrap()), figures);

    let compared = run(&place, "lab compare page.html figures.json");
    assert_eq!(compared.code, 0, "{}", compared.errors);
    assert!(compared.output.contains("the experiment after was not finished: run 2 of 3"), "{}", compared.output);
}

#[test]
fn a_page_that_cannot_be_written_loses_no_figures() {
    let place = laboratory();
    let folder = place.path("pages");
    fs::create_dir(&folder).unwrap();
    let server = Server::start_and(move || fs::remove_dir(folder).unwrap());
    place.write("plan.yaml", plan(&server, ""));
    let Ended { code, output, errors } = run(&place, "lab run plan.yaml --out pages/page.html --json figures.json");
    assert_eq!(code, 1, "{output}");
    assert!(errors.contains("cannot write pages/page.html"), "{errors}");
    assert!(output.contains("requests") && output.contains("The plan expects nothing"), "{output}");
    assert!(!output.contains("The report is in"), "{output}");
    assert_eq!(report(&place, "figures.json")["runs"][0]["loads"][0]["calls"], 10);
}

#[test]
fn a_file_that_cannot_be_written_is_refused_before_the_experiment() {
    let place = laboratory();
    let server = Server::start_and(|| panic!("nothing is called"));
    place.write("plan.yaml", plan(&server, ""));
    fs::create_dir(place.path("folder")).unwrap();
    place.write("old.html", "old");
    let mut permissions = fs::metadata(place.path("old.html")).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(place.path("old.html"), permissions).unwrap();
    for (arguments, reason) in [
        ("--out folder", "cannot write folder: is a directory"),
        ("--json folder", "cannot write folder: is a directory"),
        ("--out nowhere/page.html", "there is no folder nowhere"),
        ("--out old.html", "write-protected"),
    ] {
        let Ended { code, output, errors } = run(&place, &format!("lab run plan.yaml {arguments}"));
        assert!(code == 1 && errors.contains(reason), "{arguments}: {errors}");
        assert_eq!(output, "", "nothing was run");
    }
    assert_eq!(server.requests(), 0);
}
