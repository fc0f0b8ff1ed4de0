# XEP-0045 7.14: who leaves is told with 110, the others without; the status text is passed on
level core node real
site wonderland rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
hatter sends
  <presence type='unavailable' to='rabbithole@rooms.wonderland.lit/Hatter'><status>time for tea</status></presence>
hatter receives
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Hatter'><status>time for tea</status>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none' jid='hatter@wonderland.lit/tea'/>
    <status code='110'/></x></presence>
alice receives
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Hatter'><status>time for tea</status>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none'/></x></presence>
