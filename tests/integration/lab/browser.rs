//! Reports in a real browser, if one is there: Debian's chromium, headless.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Ended, laboratory_with_name, plan, run};

/// Returns the browser, or `None` where there is none.
fn browser() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let programs = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&folders)
        .flat_map(|folder| programs.map(|program| folder.join(program)))
        .find(|program| program.is_file())
}

/// Opens a file as a page, and returns what has become of it.
fn opened(browser: &Path, profile: &Path, page: &Path) -> String {
    let output = Command::new(browser)
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn pages_draw_themselves_from_a_file_whatever_names_are_in_them() {
    let Some(browser) = browser() else {
        eprintln!("no browser is here: the page was not opened");
        return;
    };
    let name = "</script><script>document.title = 'hostile'</script>";
    let place = laboratory_with_name(name);
    let load = "calls: 100, callers: 2, name: \"<img src=x onerror=document.title='hostile'>\"";
    place.write("plan.yaml", plan(load, "faults: [{actor: echo, crash: {every: 10}}]\nexpect: {failed: 10, lost: 0}"));
    let Ended { code, errors, .. } = run(&place, "lab run plan.yaml --out page.html");
    assert_eq!((code, errors.as_str()), (0, ""));
    let Ended { code, errors, .. } = run(&place, "lab compare page.html page.html --out difference.html");
    assert_eq!((code, errors.as_str()), (0, ""));

    for (file, shown) in [
        ("page.html", ["All 2 expectations are met", "ActorTrapped", "lane-mark mark-crashed"].as_slice()),
        ("difference.html", ["No clear difference", "answers per second"].as_slice()),
    ] {
        let drawn = opened(&browser, &place.path("profile"), &place.path(file));
        assert!(drawn.contains("data-drawn=\"true\""), "{file} was not drawn: {}", &drawn[..drawn.len().min(2000)]);
        assert!(!drawn.contains("<title>hostile</title>") && !drawn.contains("<img"), "{file} was harmed");
        // Names are text, which is escaped where the page is written out.
        let main = drawn.split_once("<main").unwrap().1.split_once("</main>").unwrap().0;
        assert!(main.contains("&lt;img src=x"), "{file} does not show the name");
        for text in shown {
            assert!(main.contains(text), "{file} does not show {text}");
        }
    }
}
