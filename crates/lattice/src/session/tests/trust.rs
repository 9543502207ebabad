//! Which hosts get a session.

use super::*;

/// Makes the endorsement of a host.
type Endorse<'a> = dyn Fn(&str) -> Option<Endorsement> + 'a;

#[test]
fn hosts_that_are_not_trusted_get_no_session() {
    let trusted = host();
    let careful = SessionSettings { trust: HostTrust::new([trusted.key.clone()], []), ..settings() };
    let careful = host_with(careful);
    connect(&trusted, &careful);
    connect(&careful, &trusted);
    let stranger = host();
    let finish = reply(&stranger, &reply(&careful, &stranger.begin(&careful.key).unwrap()));
    assert_eq!(careful.receive(&finish), Err(HandshakeError::Untrusted));
    let answer = reply(&stranger, &careful.begin(&stranger.key).unwrap());
    assert_eq!(careful.receive(&answer), Err(HandshakeError::Untrusted));
    assert_eq!(careful.begin(&stranger.key), None, "not at once again");
    assert!(!careful.has(&stranger.key) && !stranger.has(&careful.key));
    assert_eq!(careful.counts().refused.untrusted, 2);
}

#[test]
fn a_cluster_vouches_for_its_hosts_alone() {
    let cluster = Arc::new(KeyPair::new_cluster());
    let member = || {
        let trust = HostTrust::new([], [cluster.public_key()]);
        host_with(SessionSettings { trust, cluster_key: Some(cluster.clone()), ..settings() })
    };
    let (one, other) = (member(), member());
    connect(&one, &other);
    one.talk(&other);
    let foreign = Arc::new(KeyPair::new_cluster());
    let endorse = |cluster: &KeyPair, namespace: &str, host: &str| Endorsement::new(cluster, namespace, host);
    let endorsements: [&Endorse<'_>; 5] = [
        &|_| None,
        &|host| endorse(&foreign, "default", host),
        &|host| endorse(&cluster, "elsewhere", host),
        &|_| one.endorsement.clone(),
        &|host| {
            let foreign = endorse(&foreign, "default", host)?;
            Some(Endorsement { cluster: cluster.public_key(), ..foreign })
        },
    ];
    for (number, endorsement) in endorsements.into_iter().enumerate() {
        let mut stranger = host();
        let endorsement = endorsement(&stranger.key);
        Arc::get_mut(&mut stranger.sessions).unwrap().endorsement = endorsement;
        let finish = reply(&stranger, &reply(&one, &stranger.begin(&one.key).unwrap()));
        assert_eq!(one.receive(&finish), Err(HandshakeError::Untrusted), "endorsement {number}");
    }
}

#[test]
fn a_host_of_another_namespace_gets_no_session() {
    let elsewhere = host_with(SessionSettings { namespace: Namespace::new("elsewhere").unwrap(), ..settings() });
    let one = host();
    let answer = reply(&one, &elsewhere.begin(&one.key).unwrap());
    assert_eq!(elsewhere.receive(&answer), Err(HandshakeError::Forged));
    let answer = reply(&elsewhere, &one.begin(&elsewhere.key).unwrap());
    assert_eq!(one.receive(&answer), Err(HandshakeError::Forged));
    assert_eq!(one.counts().refused.forged, 1);
}
