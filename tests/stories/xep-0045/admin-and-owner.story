# XEP-0045 10.3, 10.5, 10.6: an owner makes an admin, who is a moderator at once; only owners do; the last owner stays
site wonderland rooms.wonderland.lit
room rabbithole@rooms.wonderland.lit owner=alice@wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
alice sends
  <iq type='set' id='o1' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item affiliation='admin' jid='hatter@wonderland.lit'/></query></iq>
alice receives
  <iq type='result' id='o1' from='rabbithole@rooms.wonderland.lit'/>
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='admin' role='moderator' jid='hatter@wonderland.lit/tea'><actor nick='Alice'/></item></x></presence>
hatter receives
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='admin' role='moderator' jid='hatter@wonderland.lit/tea'><actor nick='Alice'/></item>
    <status code='110'/></x></presence>

hatter sends
  <iq type='set' id='o2' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item affiliation='owner' jid='hatter@wonderland.lit'/></query></iq>
hatter receives
  <iq type='error' id='o2' from='rabbithole@rooms.wonderland.lit'><error type='auth'>
    <forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>

alice sends
  <iq type='set' id='o3' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item affiliation='none' jid='alice@wonderland.lit'/></query></iq>
alice receives
  <iq type='error' id='o3' from='rabbithole@rooms.wonderland.lit'><error type='cancel'>
    <conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>

alice sends
  <iq type='get' id='o4' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item affiliation='owner'/></query></iq>
alice receives
  <iq type='result' id='o4' from='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item affiliation='owner' jid='alice@wonderland.lit'/></query></iq>
