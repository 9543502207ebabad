//! Reports in a real browser, if one is there: Debian's chromium, headless, driven by `tests/dashboard/check_report`.

use std::path::Path;
use std::process::Command;

use super::{Ended, ended, laboratory_with_name, plan, run};
use crate::signing::in_repository;

/// Returns whether a browser and what drives it are there.
fn has_browser() -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let has = |program: &str| std::env::split_paths(&folders).any(|folder| folder.join(program).is_file());
    has("python3") && ["chromium", "chromium-browser", "google-chrome"].into_iter().any(has)
}

fn check(reports: &[&Path], pictures: &Path) -> Ended {
    let mut command = Command::new("python3");
    command.arg(in_repository("tests/dashboard/check_report")).args(reports).arg("--pictures").arg(pictures);
    ended(&mut command)
}

#[test]
fn pages_draw_themselves_from_a_file_whatever_names_are_in_them() {
    if !has_browser() {
        eprintln!("no browser is here: the pages were not opened");
        return;
    }
    let place = laboratory_with_name("</script><script>document.title = 'hostile'</script>");
    let load = "calls: 100, callers: 2, name: \"<img src=x onerror=document.title='hostile'>\"";
    place.write("plan.yaml", plan(load, "faults: [{actor: echo, crash: {every: 10}}]\nexpect: {failed: 10, lost: 0}"));
    let Ended { code, errors, .. } = run(&place, "lab run plan.yaml --out page.html");
    assert_eq!((code, errors.as_str()), (0, ""));
    let Ended { code, errors, .. } = run(&place, "lab compare page.html page.html --out difference.html");
    assert_eq!((code, errors.as_str()), (0, ""));

    let pages = [place.path("page.html"), place.path("difference.html")];
    let Ended { code, output, errors } = check(&[&pages[0], &pages[1]], &place.path("pictures"));
    assert_eq!(code, 0, "{errors}");
    assert!(output.contains("2 reports are as they should be"), "{output}");
}
