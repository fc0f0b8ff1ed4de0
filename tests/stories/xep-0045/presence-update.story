# XEP-0045 7.7: a presence of an occupant is an update, for all
level core node real
site wonderland rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
hatter sends
  <presence to='rabbithole@rooms.wonderland.lit/Hatter'><show>xa</show><status>gone where the goblins go</status></presence>
hatter receives
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><show>xa</show><status>gone where the goblins go</status>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='hatter@wonderland.lit/tea'/><status code='110'/></x></presence>
alice receives
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><show>xa</show><status>gone where the goblins go</status>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/></x></presence>
