# XEP-0289 5.1 (fmuc.md 6.3): a room that answers without fmuc is an ordinary MUC: it is left at once
site wonderland rooms.wonderland.lit uplink rabbithole -> tower@rooms.verona.lit
peer tower tower@rooms.verona.lit
user alice alice@wonderland.lit/rabbit

alice joins rabbithole@rooms.wonderland.lit as Alice
tower sends
  <presence from='tower@rooms.verona.lit/Alice' to='rabbithole@rooms.wonderland.lit/Alice'>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/>
    <status code='110'/></x></presence>
tower receives
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Alice' to='tower@rooms.verona.lit/Alice'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='alice@wonderland.lit/rabbit'/>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none'/></x></presence>
alice receives nothing

alice sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m1'><body>Alone</body></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='m1'><body>Alone</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>
tower receives nothing
