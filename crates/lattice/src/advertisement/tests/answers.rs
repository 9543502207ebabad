//! Answers to requests that only read.

use super::*;

/// Returns the names and texts of an object of JSON that holds texts only, in their order.
fn texts(object: &str) -> Vec<(String, String)> {
    let inner = object.trim_start_matches('{').trim_end_matches('}');
    let read = |entry: &str| {
        let (name, text) = entry.trim_matches('"').split_once("\":\"").unwrap();
        (name.to_owned(), text.to_owned())
    };
    inner.split("\",\"").map(read).collect()
}

fn replies(step: &str) -> Vec<String> {
    captured(|message| message.step == step && message.role == "reply").iter().map(Captured::text).collect()
}

#[test]
fn captured_answers_about_hosts_and_inventories_are_written_byte_for_byte() {
    with_servers(|server| async move {
        let scene = Scene::new(&server).await;
        let answer = scene.ask("get.hosts").await;
        let captured = &replies("ctl_get_hosts")[0];
        assert_eq!(answer, captured.replace("NB7ZAYCH4MXN4EGCBLJ6EV5RIWD2VVONON527GIOKRSDZFVHVQBJVVSX", &scene.host));

        let mut inventories = replies("ctl_inventory");
        inventories.extend(replies("ctl_inventory_with_providers"));
        assert!(inventories.len() >= 3);
        for captured in inventories {
            let told: serde_json::Value = serde_json::from_str(&captured).unwrap();
            let labels = captured.split_once("\"labels\":").unwrap().1.split_once('}').unwrap().0;
            let text = |item: &serde_json::Value, name: &str| item[name].as_str().map(str::to_owned);
            let revision = |item: &serde_json::Value| i32::try_from(item["revision"].as_i64().unwrap()).unwrap();
            let actor = |item: &serde_json::Value| InventoryActor {
                id: text(item, "id").unwrap(),
                image_ref: text(item, "image_ref"),
                name: text(item, "name"),
                revision: revision(item),
            };
            let provider = |item: &serde_json::Value| InventoryProvider {
                id: text(item, "id").unwrap(),
                link_name: text(item, "link_name").unwrap(),
                image_ref: text(item, "image_ref"),
                name: text(item, "name"),
                revision: revision(item),
            };
            *scene.told.inventory.lock().unwrap() = HostInventory {
                labels: texts(labels).into_iter().map(|(name, value)| InventoryLabel { name, value }).collect(),
                actors: told["actors"].as_array().unwrap().iter().map(actor).collect(),
                providers: told["providers"].as_array().unwrap().iter().map(provider).collect(),
            };
            let answer = scene.ask(&format!("get.{}.inv", scene.host)).await;
            assert_eq!(answer, captured.replace(told["host_id"].as_str().unwrap(), &scene.host));
        }
    });
}

#[test]
fn captured_answers_about_links_and_claims_are_written_byte_for_byte() {
    with_servers(|server| async move {
        let scene = Scene::new(&server).await;
        assert_eq!(scene.ask("get.links").await, r#"{"links":[]}"#);
        let linked = replies("raw_get_links");
        assert_eq!(linked.len(), 2);
        for captured in linked {
            let told: serde_json::Value = serde_json::from_str(&captured).unwrap();
            let told = &told["links"][0];
            let values = captured.split_once("\"values\":").unwrap().1.split_once('}').unwrap().0;
            let text = |name: &str| told[name].as_str().unwrap().to_owned();
            *scene.told.links.lock().unwrap() = vec![LinkDefinition {
                actor_id: text("actor_id"),
                provider_id: text("provider_id"),
                link_name: text("link_name"),
                contract_id: text("contract_id"),
                values: texts(values).into_iter().map(|(name, value)| LinkValue { name, value }).collect(),
            }];
            assert_eq!(scene.ask("get.links").await, captured);
        }
        // Hosts of 2021 write the values of claims in any order.
        for captured in replies("ctl_get_claims") {
            let told: serde_json::Value = serde_json::from_str(&captured).unwrap();
            let values = &told["claims"][0]["values"];
            let text = |name: &str| values[name].as_str().unwrap().to_owned();
            let mut known = claims("");
            (known.subject, known.issuer) = (text("sub"), text("iss"));
            known.metadata.caps = Some(vec![text("caps")]);
            known.metadata.rev = Some(text("rev").parse().unwrap());
            known.metadata.ver = Some(text("version"));
            *scene.told.claims.lock().unwrap() = vec![known];
            let answer = scene.ask("get.claims").await;
            assert_eq!(answer.len(), captured.len());
            assert_eq!(serde_json::from_str::<serde_json::Value>(&answer).unwrap(), told);
        }
    });
}

#[test]
fn claims_without_details_are_told_with_all_their_values() {
    with_servers(|server| async move {
        let scene = Scene::new(&server).await;
        let known = claims("a");
        let (subject, issuer) = (known.subject.clone(), known.issuer.clone());
        *scene.told.claims.lock().unwrap() = vec![known];
        let expected = format!(
            r#"{{"claims":[{{"values":{{"sub":"{subject}","iss":"{issuer}","caps":"wasmcloud:keyvalue,wasmcloud:logging","rev":"0","version":""}}}}]}}"#
        );
        assert_eq!(scene.ask("get.claims").await, expected);
    });
}

#[test]
fn a_list_that_is_too_long_for_a_message_is_shortened_and_counted() {
    with_servers(|server| async move {
        let scene = Scene::new(&server).await;
        let sample = link("default");
        *scene.told.links.lock().unwrap() = vec![sample; 10_000];
        let answer = scene.ask("get.links").await;
        let links: serde_json::Value = serde_json::from_str(&answer).unwrap();
        let count = links["links"].as_array().unwrap().len();
        assert!(count > 1_000 && count < 10_000, "{count}");
        assert!(answer.len() <= 1 << 20 && answer.len() > 1_000_000, "{}", answer.len());
        assert_eq!(scene.advertisements.counts().shortened, 1);
    });
}

#[test]
fn nothing_is_answered_after_a_host_has_left() {
    with_servers(|server| async move {
        let scene = Scene::new(&server).await;
        scene.advertisements.leave().await;
        scene.connection.round_trip(PATIENCE).await.unwrap();
        let none = Err(async_nats::RequestErrorKind::NoResponders);
        for request in ["get.hosts", "get.links", "get.claims", &format!("get.{}.inv", scene.host)] {
            assert_eq!(scene.request(&format!("wasmbus.ctl.default.{request}")).await, none);
        }
        for kind in ["claims", "links", "remlinks"] {
            assert_eq!(scene.request(&format!("wasmbus.rpc.default.{kind}")).await, none);
        }
    });
}
