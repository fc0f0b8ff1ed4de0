# XEP-0045 7.2.2, 7.7, 17.3: what a client says in its presence is passed on; the join element and forged payloads are not
site wonderland rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter sends
  <presence to='rabbithole@rooms.wonderland.lit/Hatter'><show>away</show><status>at tea</status><priority>5</priority>
    <c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='http://hat.lit' ver='10/6'/>
    <unknown xmlns='urn:example:unknown'><deep/></unknown>
    <x xmlns='http://jabber.org/protocol/muc'/>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='owner' role='moderator'/><status code='110'/></x>
    <hats xmlns='urn:xmpp:hats:0'><hat uri='urn:h' title='Mad'/></hats>
  </presence>
alice receives
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><show>away</show><status>at tea</status><priority>5</priority>
    <c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='http://hat.lit' ver='10/6'/>
    <unknown xmlns='urn:example:unknown'><deep/></unknown>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/></x></presence>
swallow
